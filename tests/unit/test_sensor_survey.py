"""What a scan makes of advertisements: which sensor it is, what it is good for, which one is being shaken."""

from __future__ import annotations

import struct

import pytest
from bleak.backends.device import BLEDevice

from posturewatch.cli.scan import _check_family, _printable
from posturewatch.drivers import Advert, discover
from posturewatch.drivers.bound import BoundSensor
from posturewatch.errors import UsageError
from posturewatch.sources.ble.ears import Heard
from posturewatch.sources.ble.survey import Survey, describe_use, propose_placement

FAMILIES = discover()


def ruuvi(address: str, acc_mg: tuple[int, int, int], seq: int, rssi_dbm: int = -60) -> Heard:
    mac = bytes.fromhex(address.replace(":", ""))
    payload = struct.pack(">B h H H hhh H B H 6s", 5, 0, 0, 0, *acc_mg, 0, 0, seq, mac)
    advert = Advert(address, None, rssi_dbm, {0x0499: payload})
    return Heard(advert, BLEDevice(address, None, None))


def named(address: str, name: str | None, rssi_dbm: int = -60) -> Heard:
    return Heard(Advert(address, name, rssi_dbm), BLEDevice(address, name, None))


ONE, TWO = "C0:5E:00:00:00:01", "C0:5E:00:00:00:02"


def test_the_nearest_comes_first_and_strangers_are_kept_apart():
    survey = Survey(FAMILIES)
    survey.take(ruuvi(ONE, (0, 0, 1000), 1, -80), 0.0)
    survey.take(named(TWO, "Polar H10 5E500001", -40), 0.1)
    survey.take(named("11:22:33:44:55:66", "Somebody's TV"), 0.2)
    assert [found.family.id for found in survey.sensors()] == ["polar", "ruuvi"]
    assert [found.name for found in survey.others()] == ["Somebody's TV"]


def test_a_name_that_comes_with_a_later_advertisement_tells_the_family():
    survey = Survey(FAMILIES)
    survey.take(named(ONE, None), 0.0)
    assert not survey.sensors()
    survey.take(named(ONE, "Polar H10 5E500001"), 0.1)
    assert survey.sensors()[0].family.id == "polar"


def test_the_shaken_one_is_the_one_that_turns_again_and_again():
    survey = Survey(FAMILIES)
    for at in range(6):
        survey.take(ruuvi(ONE, (0, 0, 1000 + at % 2), at), float(at))
        survey.take(ruuvi(TWO, ((0, 0, 1000), (900, 0, 200))[at % 2], at), float(at))
    assert survey.find_shaken(6.0).binding == TWO
    assert survey.find_shaken(60.0) is None  # long ago


def test_no_one_is_shaken_when_all_lie_still_or_two_are_moved_alike():
    still, both = Survey(FAMILIES), Survey(FAMILIES)
    for at in range(6):
        still.take(ruuvi(ONE, (0, 0, 1000), at), float(at))
        for address in (ONE, TWO):
            both.take(ruuvi(address, ((0, 0, 1000), (900, 0, 200))[at % 2], at), float(at))
    assert still.find_shaken(6.0) is None
    assert both.find_shaken(6.0) is None


def test_a_sensor_that_was_felt_to_move_is_the_shaken_one():
    survey = Survey(FAMILIES)
    survey.take(named(ONE, "Polar H10 5E500001"), 0.0)
    survey.take(named(TWO, "WT901BLE67"), 0.0)
    survey.sensors()[0].spread_g, survey.sensors()[1].spread_g = 0.02, 1.4
    assert survey.find_shaken(1.0) is survey.sensors()[1]


def test_where_the_system_hides_addresses_the_payloads_own_name_binds():
    survey = Survey(FAMILIES)
    survey.take(named("6E4C2F4B-0000-4F6B-9B1C-1D2E3F405060", "Polar H10 5E500001"), 0.0)
    assert survey.sensors()[0].binding == "5E500001"


def test_a_sensor_is_meant_by_address_serial_number_or_name_and_nobody_else_is():
    polar = FAMILIES["polar"]
    advert = named("AA:BB:CC:DD:EE:FF", "Polar H10 5E500001").advert
    assert BoundSensor("s", polar, "aa:bb:cc:dd:ee:ff").is_meant(advert)
    assert BoundSensor("s", polar, "5e500001").is_meant(advert)
    assert BoundSensor("s", polar, name="Polar H10 5E500001").is_meant(advert)
    assert not BoundSensor("s", polar, "5E500002").is_meant(advert)
    assert not BoundSensor("s", polar, name="Polar H10").is_meant(advert)


@pytest.mark.parametrize(("family", "part"), [("polar", "walking; connected"), ("ruuvi", "no walking; listened to")])
def test_what_a_sensor_is_good_for_is_said(family, part):
    assert part in describe_use(FAMILIES[family].capabilities)


def test_a_watch_is_proposed_for_the_wrist_and_a_strap_for_the_chest():
    assert [propose_placement(family) for family in ("infinitime", "polar", None)] == ["wrist", "chest", "chest"]


@pytest.mark.parametrize(
    ("family", "pick", "part"), [("polar", None, "--pick ADDRESS"), ("polar_h10", ONE, "allowed are .*polar, ")]
)
def test_a_family_that_cannot_be_meant_is_told_before_the_scan(family, pick, part):
    with pytest.raises(UsageError, match=part):
        _check_family(family, pick, FAMILIES)


def test_names_of_strangers_cannot_move_the_cursor():
    assert _printable("Evil\x1b[2J\nname") == "Evil?[2J?name"
