"""What the core is told is what the file says, in the core's units."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posturewatch.config import RemindingManners, Sensor, Wearer, load, read_calibration, write_calibration
from posturewatch.config.core_settings import tabulate_utc_offsets, to_core
from posturewatch.config.quiet import find_quiet_periods
from posturewatch.core.settings import Calibration, Detection, Limits, Reminding
from posturewatch.errors import ConfigError
from posturewatch.types import NS_PER_S, Placement

NOW_NS = 1_790_000_000 * NS_PER_S


def make_wearer(**changes) -> Wearer:
    return Wearer(id="me", sensor=(Sensor(id="s", placement=Placement.CHEST),), **changes)


def test_defaults_of_the_file_are_the_defaults_of_the_core():
    settings = to_core(make_wearer(time_zone="UTC"), NOW_NS)
    assert settings.limits == Limits()
    assert settings.detection == Detection()
    assert settings.reminding == Reminding(quiet=settings.reminding.quiet, utc_offsets=settings.reminding.utc_offsets)


@pytest.mark.parametrize(("hour", "is_quiet"), [(19, False), (20, True), (3, True), (7, False), (12, False)])
def test_nights_are_quiet_unless_switched_off(hour, is_quiet):
    at_ns = round(datetime(2026, 9, 22, hour, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * NS_PER_S
    usual = to_core(make_wearer(time_zone="Europe/Berlin"), NOW_NS).reminding.quiet
    assert any(a <= at_ns < b for a, b in usual) is is_quiet
    wakeful = make_wearer(reminding=RemindingManners(quiet_hours=()))
    assert to_core(wakeful, NOW_NS).reminding.quiet == ()


def test_minutes_and_milli_g_become_seconds_and_units(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        '[[wearer]]\nid = "me"\nstatic_limit_min = 10\n[wearer.reminding]\ngrace_min = 0.5\n[[wearer.sensor]]\n'
        'id = "s"\nplacement = "waist"\nstep_mg = 3.9\ncalibration_file = "s.json"\n'
    )
    (tmp_path / "s.json").write_text(json.dumps({"up": [0, 0, 2]}))
    loaded = load(path, {})
    settings = loaded.to_core(loaded.config.wearer[0], NOW_NS)
    assert settings.limits.static_limit_s == 600
    assert settings.reminding.grace_s == 30
    assert settings.sensors[0].traits.step_10ug == 390
    assert settings.sensors[0].calibration == Calibration(up=(0.0, 0.0, 1.0), source="file")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"])
def test_offsets_are_those_of_the_zone_at_every_hour_of_two_years(zone):
    table = tabulate_utc_offsets(zone, NOW_NS)
    assert table[0][0] == NOW_NS - 86_400 * NS_PER_S
    at, row = datetime.fromtimestamp(NOW_NS // NS_PER_S, UTC), 0
    for _ in range(0, 730 * 24):
        at += timedelta(hours=1)
        while row + 1 < len(table) and table[row + 1][0] <= at.timestamp() * NS_PER_S:
            row += 1
        assert timedelta(seconds=table[row][1]) == at.astimezone(ZoneInfo(zone)).utcoffset()


def test_change_of_summer_time_is_found_to_the_second():
    table = tabulate_utc_offsets("Europe/Berlin", NOW_NS)
    assert table[1] == (round(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()) * NS_PER_S, 3600)


@given(st.integers(0, 700 * 24), st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo"]))
def test_quiet_periods_hold_exactly_the_local_times_they_name(hour, zone):
    at = datetime.fromtimestamp(NOW_NS // NS_PER_S, UTC) + timedelta(hours=hour, minutes=17)
    at_ns = round(at.timestamp()) * NS_PER_S
    quiet = any(a <= at_ns < b for a, b in find_quiet_periods(("20:00-07:00", "12:30-13:00"), zone, NOW_NS))
    local = at.astimezone(ZoneInfo(zone))
    expected = local.hour >= 20 or local.hour < 7 or (local.hour == 12 and local.minute >= 30)
    assert quiet == expected


def test_calibration_file_round_trip(tmp_path):
    path = tmp_path / "c.json"
    write_calibration(path, Calibration(up=(0.6, 0.0, 0.8), forward=(0.0, 1.0, 0.0)))
    read = read_calibration(path)
    assert read.up == pytest.approx((0.6, 0.0, 0.8))
    assert read.forward == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"up": [0, 0, 0]}', '{"up": [1, 2]}', '{"up": "xyz"}', '{"up": [NaN, 0, 1]}', "\x00"]
)
def test_unusable_calibration_is_told_by_its_file(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"c\.json: .*calibrate again"):
        read_calibration(path)
