"""Every group of checks found by folder: clear about nothing, about a wrong file, and in time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from posturewatch.checks import GROUP_S, Group, Subject, discover, examine
from posturewatch.config import load
from posturewatch.errors import ConfigError

GROUPS = discover()


def test_groups_have_names_and_places_of_their_own() -> None:
    assert len(GROUPS) >= 7
    assert len({group.name for group in GROUPS}) == len({group.order for group in GROUPS}) == len(GROUPS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_has_an_answer_to_nothing_and_to_what_is_wrong(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subjects = [
        Subject(environ, None, load(None, {})),
        Subject(environ, tmp_path / "wrong.toml", trouble=ConfigError(f"{tmp_path}/wrong.toml:1: not TOML")),
    ]
    for subject in subjects:
        began_s = time.monotonic()
        found = asyncio.run(examine(subject, [group]))[group.name]
        assert time.monotonic() - began_s < GROUP_S + 1
        for finding in found:
            assert finding.seen
            assert (finding.fix is None) == (finding.grade == "ok")
            assert "\n" not in finding.seen


def test_a_group_that_hangs_is_cut_off_and_one_that_fails_is_told() -> None:
    async def hang(_: Subject) -> list[object]:
        await asyncio.Event().wait()
        return []

    async def refuse(_: Subject) -> list[object]:
        raise ConfigError("my.toml:3: it is crooked; straighten it")

    groups = [Group("slow", 0, hang), Group("crooked", 1, refuse)]  # type: ignore[arg-type]  # nothing is returned
    began_s = time.monotonic()
    found = asyncio.run(examine(Subject({}, None), groups))
    assert time.monotonic() - began_s < GROUP_S + 1
    assert [(f.grade, f.fix) for f in found["slow"]] == [("warn", "run it again; if it stays so, restart that service")]
    assert [(f.grade, f.seen, f.fix) for f in found["crooked"]] == [
        ("fail", "my.toml:3: it is crooked", "straighten it")
    ]
