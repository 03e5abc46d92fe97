"""The configuration is read as a whole, and each mistake is told with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from posturewatch.config import load
from posturewatch.config.places import find_line, locate_keys
from posturewatch.errors import ConfigError
from posturewatch.mqtt.settings import MQTT_311
from posturewatch.types import Placement

NOW_NS = 1_790_000_000_000_000_000  # 2026-09-21 UTC
MINIMAL = """\
[[wearer]]
id = "me"
[[wearer.sensor]]
id = "chest"
placement = "chest"
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_text(text: str) -> Path:
        path = tmp_path / "posturewatch.toml"
        path.write_text(text, "utf-8")
        return path

    return write_text


def refuse(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        load(path, environ or {})
    assert refusal.value.exit_code == 2
    return str(refusal.value).splitlines()


def test_defaults_alone_are_a_configuration_with_the_embedded_broker():
    loaded = load(None, {})
    assert loaded.config.broker.is_embedded
    assert loaded.config.wearer == ()
    assert loaded.origin(("log", "level")) == "default"


def test_file_overrides_defaults_and_environment_overrides_the_file(write):
    path = write(MINIMAL.replace('id = "me"', 'id = "me"\nstatic_limit_min = 25'))
    loaded = load(path, {"POSTUREWATCH_WEARER__0__STATIC_LIMIT_MIN": "12.5", "POSTUREWATCH_LOG__LEVEL": "debug"})
    assert loaded.config.wearer[0].static_limit_min == 12.5
    assert loaded.config.log.level == "debug"
    assert loaded.origin(("wearer", 0, "static_limit_min")) == "environment POSTUREWATCH_WEARER__0__STATIC_LIMIT_MIN"
    assert loaded.origin(("wearer", 0, "id")) == f"{path}:2"
    assert loaded.origin(("wearer", 0, "sedentary_limit_min")) == "default"


def test_environment_alone_can_name_a_wearer():
    environ = {
        "POSTUREWATCH_WEARER__0__ID": "me",
        "POSTUREWATCH_WEARER__0__SENSOR__0__ID": "1",
        "POSTUREWATCH_WEARER__0__SENSOR__0__PLACEMENT": "thigh",
        "POSTUREWATCH_WEARER__0__REMINDING__QUIET_HOURS": '["20:00-07:00"]',
        "POSTUREWATCH_BROKER__USERNAME": "1234",
        "POSTUREWATCH_BROKER__PASSWORD": "0123",
        "POSTUREWATCH_BROKER__PROTOCOL": "311",
    }
    loaded = load(None, environ)
    wearer = loaded.config.wearer[0]
    assert (wearer.sensor[0].id, wearer.sensor[0].placement) == ("1", Placement.THIGH)
    assert wearer.reminding.quiet_hours == ("20:00-07:00",)
    mqtt = loaded.to_mqtt()
    assert (mqtt.username, mqtt.password, mqtt.protocol) == ("1234", "0123", MQTT_311)


def test_variables_that_are_no_settings_are_left_alone():
    container = {"POSTUREWATCH_PORT": "tcp://10.0.0.1:1883", "POSTUREWATCH_SERVICE_HOST": "10.0.0.1"}
    assert load(None, container).config == load(None, {}).config


def test_misspelt_variable_is_told_with_the_nearest_name():
    (line,) = refuse(None, {"POSTUREWATCH_BROKER__HOTS": "x"})
    assert line == "environment POSTUREWATCH_BROKER__HOTS: no such setting; did you mean 'host'?"


def test_wrong_variable_is_told_by_its_name():
    (line,) = refuse(None, {"POSTUREWATCH_BROKER__PORT": "70000"})
    assert line.startswith("environment POSTUREWATCH_BROKER__PORT: broker.port: ")
    assert line.endswith("less than or equal to 65535, not 70000")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[broker]\nprot = 1\n", ":2: broker.prot: unknown key; did you mean 'port'?"),
        ("[brokr]\nport = 1\n", ":1: brokr: unknown key; did you mean 'broker'?"),
        (MINIMAL + "plcement = 3\n", ":6: wearer[0].sensor[0].plcement: unknown key; did you mean 'placement'?"),
        (MINIMAL + MINIMAL.replace('"chest"\np', '"a b"\np'), ":9: wearer[1].sensor[0].id: "),
        (MINIMAL.replace("id", "static_limit_min = 4\nid", 1), ":2: wearer[0].static_limit_min: Input should be gr"),
        (MINIMAL.replace("id", "static_limit_min = 61\nid", 1), ":2: wearer[0].static_limit_min: Input should be le"),
        (MINIMAL.replace("id", "sedentary_limit_min = 121\nid", 1), ":2: wearer[0].sedentary_limit_min: Input"),
        (
            MINIMAL.replace("id", 'static_limit_min = "20"\nid', 1),
            ":2: wearer[0].static_limit_min: Input should be a v",
        ),
        (MINIMAL.replace("id", "static_limit_min = nan\nid", 1), ":2: wearer[0].static_limit_min: "),
        (MINIMAL.replace("id", 'time_zone = "Berlin"\nid', 1), ":2: wearer[0].time_zone: no such time zone: 'Berlin'"),
        (MINIMAL + "[wearer.detection]\ntheta_in_deg = 12.0\n", ":6: wearer[0].detection: theta_in_deg 12 must be bel"),
        (MINIMAL + '[wearer.reminding]\nquiet_hours = ["8-9"]\n', ":7: wearer[0].reminding.quiet_hours[0]: not a peri"),
        ('[[wearer]]\nid = "me"\n', ":1: wearer[0].sensor: this key is required"),
        ('[[wearer]]\nid = "me"\nsensor = []\n', ":3: wearer[0].sensor: at least one is needed"),
        (MINIMAL + MINIMAL, ": two wearers are called 'me': ids must differ"),
        (MINIMAL + MINIMAL.replace('"me"', '"you"'), ": two sensors are called 'chest': ids must differ"),
        ("[broker]\nembedded = false\n", ":1: broker: embedded = false needs the host of your broker"),
        ('[broker]\nembedded = true\nhost = "localhost"\n', ":1: broker: embedded = true and host exclude each other"),
        ('[broker]\nhost = "10.1.1.1"\n', ":1: broker: 10.1.1.1 is another machine: set tls = true"),
        ('[broker]\npassword = "x"\n', ":1: broker: a password needs a username"),
        ('[broker]\ntls = true\ntls_keyfile = "k"\n', ":1: broker: tls_certfile and tls_keyfile belong together"),
        ('broker = "localhost"\n', ":1: broker: Input should be an object"),
        ("[broker]\nhost = localhost\n", ":2: not TOML: Invalid value"),
        ("[broker]\nport = 1\nport = 2\n", ":3: not TOML: Cannot overwrite a value"),
        ("[broker", ":1: not TOML: "),
    ],
)
def test_mistake_in_the_file_is_told_with_line_and_key(write, text, place):
    path = write(text)
    lines = refuse(path)
    assert len(lines) == 1
    assert lines[0].startswith(f"{path}{place}")


def test_every_mistake_gets_its_own_line(write):
    lines = refuse(write(MINIMAL + "rate_hz = -1\n[log]\nlevel = 3\n[storage]\nfolder = 1\n"))
    assert [line.split(":")[1] for line in sorted(lines)] == ["10", "6", "8"]


def test_no_mistake_shows_a_password(write):
    lines = refuse(write('[broker]\nusername = "u"\npassword = 98765\nport = 0\n'))
    assert len(lines) == 2
    assert "98765" not in "".join(lines)


def test_unreadable_files_are_told_by_name(tmp_path):
    (absent,) = refuse(tmp_path / "absent.toml")
    assert absent == f"{tmp_path / 'absent.toml'}: the configuration cannot be read: No such file or directory"
    (folder,) = refuse(tmp_path)
    assert "Is a directory" in folder
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"[log]\nlevel = '\xe4'\n")
    (encoding,) = refuse(latin)
    assert encoding.startswith(f"{latin}:2: not UTF-8 text")


def test_password_file_is_read_relative_to_the_configuration(write, tmp_path):
    path = write('[broker]\nusername = "u"\npassword_file = "secret"\n')
    with pytest.raises(ConfigError, match=r":3: broker.password_file: .*secret: No such file"):
        load(path, {}).to_mqtt()
    (tmp_path / "secret").write_text("s3cr et\n")
    loaded = load(path, {})
    assert loaded.to_mqtt().password == "s3cr et"
    assert "s3cr" not in repr(loaded.to_mqtt())


def test_tls_makes_a_broker_elsewhere_acceptable_on_its_port(write):
    mqtt = load(write('[broker]\nhost = "mqtt.example"\ntls = true\ntls_cafile = "ca.pem"\n'), {}).to_mqtt()
    assert mqtt.port == 8883
    assert mqtt.tls is not None
    assert mqtt.tls.cafile is not None
    assert mqtt.tls.cafile.is_absolute()


def test_places_agree_with_the_parser_on_awkward_toml():
    text = (
        "# [no]\n'a b'.c = 1\nd = [\n  'e = 1', # ]\n  [2],\n]\nf = '''\n[g]\nh = 1\n'''\n"
        "[i . \"j\"]\nk = {l = 1}\n[[m]]\nn = 1\n[[m]]\n[m.o]\np = 'x' # y = 1\n[[m.q]]\nr=1\n[[m.q]]\nr=2\n"
    )
    lines = locate_keys(text)

    def dig(path):
        node = tomllib.loads(text)
        for part in path:
            node = node[part]
        return node

    for path in lines:
        dig(path)  # KeyError if the scanner found something that is not there
    assert lines[("d",)] == 3
    assert lines[("f",)] == 7
    assert lines[("m", 1, "o", "p")] == 17
    assert lines[("m", 1, "q", 1, "r")] == 21
    assert find_line(lines, ("i", "j", "k", "l")) == 12
    assert ("h",) not in lines


def test_daemons_with_their_own_state_have_their_own_name_at_the_broker(tmp_path):
    first, second = (load(None, {"POSTUREWATCH_STORAGE__FOLDER": str(tmp_path / name)}) for name in "ab")
    assert first.state_folder() == tmp_path / "a"
    assert first.to_mqtt().client_id == first.to_mqtt().client_id != second.to_mqtt().client_id
