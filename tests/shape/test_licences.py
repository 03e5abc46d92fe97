"""What people install with posturewatch may be used by anyone for anything: permissive licences, as each package says.

Read from what is installed, without a network.  Tools of the tests come to nobody, and are not looked at.
"""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PERMISSIVE = re.compile(
    r"MIT(?:-0|-CMU)?|0?BSD(?:[ -][23]-Clause)?|Apache(?: Software|[ -]2\.0)|PSF-2\.0|Python Software Foundation"
    r"|Zlib|CC0-1\.0"
)
# Only with an extra that nobody needs, unchanged, as a library of its own, which their licences ask for.
WEAK_COPYLEFT = {"bidict": "MPL-2.0", "libusb1": "LGPL-2.1-or-later"}
# Not installed here, since only macOS or Windows wants it: looked up by hand.
ELSEWHERE = re.compile(r"pyobjc-|winrt-|colorama$")  # MIT, MIT, BSD


def read_licences(name: str) -> list[str]:
    """What a package says of itself; the alternatives of `OR`, and whatever its classifiers name."""
    told = metadata.metadata(name)
    if expression := told.get("License-Expression"):
        return re.split(r" OR ", expression)
    classified = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License")]
    named = [line.removesuffix(" License") for line in classified if line != "DFSG approved"]
    return named or [(told.get("License") or "").strip().partition("\n")[0]]


def is_permissive(licence: str) -> bool:
    return all(PERMISSIVE.fullmatch(part.strip(" ()")) for part in re.split(r" AND ", licence))


def find_faults(names: set[str]) -> list[str]:
    """Packages that are neither permissive nor known, and why."""
    faults = []
    for name in sorted(names):
        try:
            licences = read_licences(name)
        except metadata.PackageNotFoundError:
            if not ELSEWHERE.match(name):
                faults.append(f"{name}: is not installed")
            continue
        if not any(map(is_permissive, licences)) and WEAK_COPYLEFT.get(name) not in licences:
            faults.append(f"{name}: {licences}")
    return faults


def find_closure(requirements: list[str]) -> set[str]:
    """The packages that are installed for these, and those that they need in turn."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        wanted, extra = waiting.pop()
        name = canonicalize_name(wanted.name)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        found.add(name)
        asked = {(name, each) for each in ("", *wanted.extras)} - seen
        seen |= asked
        waiting += [(Requirement(more), each) for _, each in asked for more in metadata.requires(name) or []]
    return found


def read_lock(name: str) -> set[str]:
    return {line.partition("==")[0] for line in (ROOT / name).read_text().splitlines()}


def test_what_is_installed_for_most_people_is_permissive_without_an_exception():
    locked = read_lock("requirements.lock")
    assert find_closure([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["broker"]]) <= locked
    assert locked & WEAK_COPYLEFT.keys() == set()
    assert find_faults(locked) == []


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_what_an_extra_brings_is_permissive_or_named_here(extra):
    brought = find_closure(PROJECT["optional-dependencies"][extra])
    assert len(brought) >= len(PROJECT["optional-dependencies"][extra])
    assert find_faults(brought) == []


def test_every_exception_is_still_one():
    brought = find_closure([each for extra in PROJECT["optional-dependencies"].values() for each in extra])
    assert {name for name in WEAK_COPYLEFT if name in brought} == WEAK_COPYLEFT.keys()


def test_a_licence_that_asks_for_more_would_be_found():
    assert find_faults({"hypothesis", "pathspec", "nothing-of-this-name"}) == [
        "hypothesis: ['MPL-2.0']",
        "nothing-of-this-name: is not installed",
        "pathspec: ['Mozilla Public License 2.0 (MPL 2.0)']",
    ]
