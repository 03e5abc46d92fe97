"""Bluetooth sensors in the configuration: what may be written, what is refused and where, what the core is told."""

from __future__ import annotations

import pytest

from posturewatch.config import load
from posturewatch.errors import ConfigError

NOW_NS = 1_772_438_400 * 10**9
SENSOR = """
[[wearer.sensor]]
id = "{id}"
placement = "chest"
source = "ble"
family = "{family}"
address = "C0:5E:00:00:00:{number:02X}"
"""


def write(tmp_path, *sensors, extra=""):
    path = tmp_path / "posturewatch.toml"
    wearers = "".join(f'[[wearer]]\nid = "w{at}"\n' + "".join(sensors[at : at + 8]) for at in range(0, len(sensors), 8))
    path.write_text(f"{extra}\n{wearers}")
    return path


def sensor(family="polar", number=1, more=""):
    return SENSOR.format(id=f"s{number}", family=family, number=number) + more


def bind(path):
    return load(path, {}).bind_sensors()


def test_a_bound_sensor_has_its_family_address_and_wishes(tmp_path):
    path = write(tmp_path, sensor(more="rate_hz = 50.0\nrange_g = 4.0\nclipped = true\n"))
    bound = bind(path)["s1"]
    assert (bound.family.id, bound.address) == ("polar", "C0:5E:00:00:00:01")
    assert (bound.options.rate_hz, bound.options.range_g, bound.options.is_clipped) == (50.0, 4.0, True)


def test_the_core_is_told_what_the_family_is_like_where_the_user_does_not_say(tmp_path):
    loaded = load(write(tmp_path, sensor(), sensor("infinitime", 2), sensor("ruuvi", 3, "step_mg = 5.0\n")), {})
    polar, watch, tag = loaded.to_core(loaded.config.wearer[0], NOW_NS).sensors
    assert (polar.traits.step_10ug, polar.traits.rate_hz) == (100, 25.0)
    assert polar.lateness_ns == 3 * 10**9  # two seconds of samples in a packet
    assert watch.lateness_ns == 16 * 10**9  # nothing is known before the next read
    assert (tag.traits.step_10ug, tag.lateness_ns) == (500, round(11.28 * 10**9))  # four may be missed


def test_an_unknown_family_is_told_with_place_and_nearest_name(tmp_path):
    path = write(tmp_path, sensor("polr"))
    with pytest.raises(ConfigError, match=r"posturewatch\.toml:9: sensor s1: there is no family 'polr'; .*'polar'"):
        bind(path)


def test_one_device_is_one_sensor(tmp_path):
    path = write(tmp_path, sensor(), sensor().replace('"s1"', '"other"').replace("C0:5E", "c0:5e"))
    with pytest.raises(ConfigError, match="s1 and other are the same device"):
        bind(path)


def test_more_connections_than_the_adapter_holds_are_refused_before_the_start(tmp_path):
    path = write(tmp_path, *(sensor(number=n) for n in range(1, 9)))
    with pytest.raises(ConfigError, match=r"8 sensors need a connection .* bluetooth.max_connections is 7"):
        bind(path)
    path = write(tmp_path, *(sensor("ruuvi", n) for n in range(1, 9)))
    assert len(bind(path)) == 8  # nobody connects to these
    path = write(tmp_path, *(sensor(number=n) for n in range(1, 9)), extra="[bluetooth]\nmax_connections = 8")
    assert len(bind(path)) == 8


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (SENSOR.format(id="s", family="polar", number=1).replace('source = "ble"\n', ""), 'only with source = "ble"'),
        (sensor().replace('family = "polar"\n', ""), "needs a family"),
        (sensor(more='name = "Polar H10"\n'), "either an address or a name"),
        (sensor().replace('address = "C0:5E:00:00:00:01"\n', ""), "either an address or a name"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path, text, part):
    with pytest.raises(ConfigError, match=part):
        load(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        ('[bluetooth]\nradio = "hci0"', "radio 'hci0' is not known"),
        ('[bluetooth]\nradio = "hci:unix:/run/air"\nadapter = "hci0"', 'only with radio = "bluez"'),
        ("[bluetooth]\nactive_scan = false", "leave it on"),
        ("[bluetooth]\nmax_connections = 0", "max_connections"),
        ('[bluetooth]\nradio = "hci:unix:/run/air"\nacquire_notify = true', "acquire_notify: only with"),
    ],
)
def test_a_radio_that_cannot_be_is_refused(tmp_path, extra, part):
    with pytest.raises(ConfigError, match=part):
        load(write(tmp_path, sensor(), extra=extra), {})


def test_a_preset_beside_the_configuration_makes_a_family(tmp_path):
    (tmp_path / "sensors").mkdir()
    (tmp_path / "sensors" / "mine.toml").write_text(
        '[mine]\ntitle = "Mine"\nkind = "notify"\nchar = "0x2C1E"\ntype = "i16"\nunit = "mg"\nrate_hz = 25\n'
    )
    assert bind(write(tmp_path, sensor("mine")))["s1"].family.title == "Mine"
