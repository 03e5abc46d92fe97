"""What the doctor says of each sensor's calibration."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from posturewatch.checks import Finding, Subject, calibration, examine
from posturewatch.clock import read_wall_ns
from posturewatch.config import kept_path, load, write_calibration
from posturewatch.core.settings import Calibration
from posturewatch.store import SnapshotStore

GOOD = Calibration((0.0, 0.6, 0.8), (1.0, 0.0, 0.0), "file", "A")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the calibration of the sensor `chest` is kept."""
    return kept_path(tmp_path, "chest")


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Sequence[Finding]]:
    """The findings about the one sensor of a configuration."""

    def find(placement: str = "chest", more: str = "") -> Sequence[Finding]:
        path = tmp_path / "posturewatch.toml"
        sensor = f'[[wearer.sensor]]\nid = "chest"\nplacement = "{placement}"\n{more}'
        path.write_text(f'[storage]\nfolder = "{tmp_path}"\n[[wearer]]\nid = "me"\n{sensor}\n')
        subject = Subject({}, path, load(path, {}))
        return asyncio.run(examine(subject, [calibration.GROUP]))["calibration"]

    return find


def test_none_is_told_with_what_to_do_and_does_not_matter_where_there_is_no_inclination(
    look: Callable[..., Sequence[Finding]],
) -> None:
    (found,) = look()
    assert (found.grade, found.fix) == ("warn", "posturewatch calibrate chest")
    assert found.seen.startswith("none: ")
    assert look("wrist") == look("thigh") == []
    assert look(more='source = "simulated"')[0].grade == "ok"


def test_a_good_one_is_told_with_grade_and_day_and_a_rough_one_should_be_repeated(
    look: Callable[..., Sequence[Finding]], kept: Path
) -> None:
    write_calibration(kept, GOOD)
    os.utime(kept, (1_790_000_000,) * 2)
    (found,) = look()
    assert (found.grade, found.seen) == ("ok", "grade A, of 2026-09-21")
    for source, word in (("auto", "found while walking"), ("file", "contradict")):
        write_calibration(kept, replace(GOOD, source=source, grade="C"))
        (found,) = look()
        assert (found.grade, found.fix) == ("warn", "posturewatch calibrate chest")
        assert word in found.seen


def test_a_sensor_that_slipped_is_told_until_it_is_calibrated_again(
    look: Callable[..., Sequence[Finding]], kept: Path, tmp_path: Path
) -> None:
    write_calibration(kept, GOOD)
    SnapshotStore(tmp_path).save("me", {"uprights": {"chest": list(GOOD.up)}}, read_wall_ns())
    (found,) = look()
    assert found.grade == "warn"
    assert found.seen.startswith("it sits differently now than when it was calibrated")
    write_calibration(kept, replace(GOOD, up=(0.0, 0.0, 1.0)))
    assert look()[0].grade == "ok"


def test_one_that_cannot_be_used_is_told_and_a_file_of_the_configuration_has_to_go_first(
    look: Callable[..., Sequence[Finding]], kept: Path
) -> None:
    kept.write_text("{")
    (found,) = look()
    assert found.grade == "warn"
    assert str(kept) in found.seen
    (found,) = look(more='calibration_file = "chest.calibration.json"')
    assert found.fix == "remove its calibration_file, then: posturewatch calibrate chest"
