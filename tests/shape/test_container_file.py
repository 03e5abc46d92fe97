"""The container file keeps its rules, whether or not an engine is here to build it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "config/container/Containerfile").read_text("utf-8")
PINNED = re.compile(r"^[\w.-]+(?:/[\w.-]+)+:\d+\.\d+\.\d+[\w.-]*(?:@sha256:[0-9a-f]{64})?$")
SECRET = re.compile(r"(?i)\b\w*(?:password|secret|token|api_?key)\w*\s*=")


def read_steps(text: str) -> list[tuple[str, str]]:
    """Instruction and its arguments; lines that go on are joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0].upper(), line.split(maxsplit=1)[1].strip()) for line in joined.splitlines()]


def find_faults(text: str) -> list[str]:
    """What breaks a rule."""
    steps = read_steps(text)
    bases = [words.split()[0] for step, words in steps if step == "FROM"]
    faults = [f"{base}: not pinned to a registry and a full version" for base in bases if not PINNED.match(base)]
    last = steps[max(at for at, (step, _) in enumerate(steps) if step == "FROM") :]
    users = [words for step, words in last if step == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        faults.append("it runs as root")
    faults += [f"{step}: a secret" for step, words in steps if step in ("ARG", "ENV", "LABEL") and SECRET.search(words)]
    faults += [f"{step}: use COPY" for step, _ in steps if step == "ADD"]
    for step, words in last:
        if step in ("ENTRYPOINT", "CMD") and not words.startswith("["):
            faults.append(f"{step}: a shell would swallow the signals")
    return faults


def test_it_keeps_the_rules():
    assert find_faults(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (":3.13.5-slim-bookworm", ":latest"),
        ("USER 10001", "USER root"),
        ("USER 10001\n", ""),
        ("STOPSIGNAL", "ENV MQTT_PASSWORD=1234\nSTOPSIGNAL"),
        ('CMD ["run"]', "CMD posturewatch run"),
    ],
)
def test_a_broken_rule_would_be_found(old, new):
    assert old in TEXT
    assert find_faults(TEXT.replace(old, new))


def test_what_it_copies_is_there_and_enough_to_build():
    copied = [words.split()[:-1] for step, words in read_steps(TEXT) if step == "COPY" and "--from" not in words]
    names = {name for each in copied for name in each}
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert {"pyproject.toml", "README.md", "LICENSE", "posturewatch", "simulators", "config", "docs/man"} <= names


def test_it_starts_the_daemon_with_settings_that_exist():
    from posturewatch.config import find_file, load  # noqa: PLC0415  only this test needs it

    steps = dict(read_steps(TEXT))
    assert json.loads(steps["ENTRYPOINT"]) + json.loads(steps["CMD"]) == ["posturewatch", "run"]
    environ = dict(word.split("=", 1) for word in steps["ENV"].split())
    assert find_file(environ) == Path("/etc/posturewatch/posturewatch.toml")
    assert load(None, environ).state_folder() == Path("/var/lib/posturewatch")


def test_it_says_that_it_was_not_tried():
    assert "UNTESTED" in TEXT
