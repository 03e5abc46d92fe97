"""A preset file is read as a whole, and every mistake is told with its file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from posturewatch.cli.config import command
from posturewatch.drivers import Silence, discover
from posturewatch.drivers.preset_files import families, load_presets, parse_presets
from posturewatch.errors import ConfigError

GOOD = """\
[mine]
kind = "notify"
char = "0x2C1E"
type = "i16"
unit = "mg"
"""
BUILT_IN = {
    "sig_precise_acceleration_3d", "sig_acceleration_3d", "infinitime", "microbit", "adafruit", "thingy52", "kkm",
    "minew", "espruino_uart_text",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sensors").mkdir()
    return tmp_path


def put(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / "sensors" / name
    path.write_text(text)
    return path


def test_presets_that_come_with_the_program_are_families():
    assert set(discover()) >= BUILT_IN


def test_the_users_presets_join_the_others(folder):
    put(folder, GOOD)
    found = families(folder)
    assert found["mine"].decode(bytes.fromhex("0400fcff0c04")).acc_10ug.tolist() == [[400, -400, 103600]]
    assert set(found) == set(discover()) | {"mine"}
    assert set(families(None)) == set(discover()) == set(families(folder / "nowhere"))


def test_a_name_may_not_be_taken_twice(folder):
    path = put(folder, GOOD.replace("mine", "polar"))
    with pytest.raises(ConfigError, match=rf"{path}:1: polar: a sensor of this name is known already"):
        families(folder)
    put(folder, GOOD, "a.toml")
    path = put(folder, "# a comment\n" + GOOD, "b.toml")
    (folder / "sensors/mine.toml").unlink()
    with pytest.raises(ConfigError, match=rf"{path}:2: mine: described already in .*a.toml:1"):
        load_presets(folder / "sensors")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_presets(text, "f.toml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('typ = "i16"', "f.toml:6: mine.typ: unknown key; did you mean 'type'?"),
        ('match.nam_prefix = "x"', "f.toml:6: mine.match.nam_prefix: unknown key; did you mean 'name_prefix'?"),
        ("match.company = 65536", "f.toml:6: mine.match.company: Input should be less than or equal to 65535"),
        ('service = "2C1"', "f.toml:6: mine.service: a UUID in quotes is needed"),
        ("service = 0x2C1E", "f.toml:6: mine.service: a UUID in quotes is needed"),
        ('header = "a1 0"', "f.toml:6: mine.header: 1 to 512 bytes as hex digits"),
        ("repeat = 0", "f.toml:6: mine.repeat: a number of samples from 1 to 512 is needed"),
        ("repeat = true", "f.toml:6: mine.repeat: a number of samples"),
        ("length = [9]", "f.toml:6: mine.length: a number of bytes is needed"),
        ("length = [9, 6]", "f.toml:6: mine.length: from 1 to 512 bytes"),
        ("length = 5", "f.toml:1: mine.offset: it ends at byte 6, the packet may end at byte 5"),
        ("stride = 5", "f.toml:6: mine.stride: samples would overlap"),
        ('order = ["x", "y", "-y"]', "f.toml:6: mine.order: each of x, y and z once"),
        ("scale = 0", "f.toml:6: mine.scale: zero"),
        ("scale = nan", "f.toml:6: mine.scale: Input should be a finite number"),
        ('scale = "1"', "f.toml:6: mine.scale: Input should be a valid number, not '1'"),
        ("sign = 2", "f.toml:6: mine.sign: Input should be 1 or -1, not 2"),
        ('mask = "ff"', "f.toml:6: mine.mask: it must be as long as the header"),
        ('silence = "sparse"', "f.toml:6: mine.silence: only advertisements"),
        ('separator = ","', "f.toml:6: mine.separator: only for kind 'text'"),
        ("poll_s = 0", "f.toml:6: mine.poll_s: Input should be greater than or equal to 0.02"),
        ('seq = { offset = 5, type = "u8" }', "f.toml:6: mine.seq: `offset` and `seq` overlap at byte 5"),
        ("seq = { offset = 6 }", "f.toml:6: mine.seq.type: this key is required"),
        ('seq = { offset = 6, type = "u8", at = 1 }', "f.toml:6: mine.seq.at: unknown key; possible are: offset"),
        ('seq = { offset = 511, type = "u16" }', "f.toml:6: mine.seq: it ends at byte 513"),
        ("battery = { offset = 6 }", "f.toml:6: mine.battery: `offset`, `type` and `unit` are needed"),
        ('battery = { source = "0x2A19", offset = 1 }', "f.toml:6: mine.battery: either `source`"),
        ('on_start = [{ char = "0x2C1E", hex = "zz" }]', "f.toml:6: mine.on_start[0].hex: 1 to 512 bytes"),
        ('on_start = [{ char = "0x2C1E", hex = "00", code = "x" }]', "f.toml:6: mine.on_start[0].code: unknown key"),
        ('split = { x = "1234", y = "1234", z = "1234" }', "f.toml:3: mine.char: exactly one of `char` and `split`"),
        ("max_packet = 513", "f.toml:6: mine.max_packet: Input should be less"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_fix(line, told):
    lines = mistakes(GOOD + line + "\n")
    assert len(lines) == 1, lines
    assert lines[0].startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "f.toml: no preset inside"),
        ("kind = 1\n", "f.toml:1: kind: a key outside of a table"),
        ("[Mine]\n", "f.toml:1: Mine: the name of a sensor"),
        ("[mine]\n", "f.toml:1: mine.kind: this key is required"),
        ("[mine\n", "f.toml:1: not TOML"),
        ("a = " + "[" * 5000, "f.toml"),
        ('[mine]\nkind = "notify"\nchar = "2C1E"\nunit = "g"\n', "f.toml:1: mine.type: this key is required"),
        ('[mine]\nkind = "notify"\nchar = "2C1E"\ntype = "i8"\n', "f.toml:1: mine.unit: this key is required"),
        ('[mine]\nkind = "manufacturer"\ntype = "i8"\nunit = "g"\n', "f.toml:1: mine.match: kind 'manufacturer' needs"),
        ('[mine]\nkind = "read"\nchar = "2C1E"\ntype = "i8"\nunit = "g"\n', "f.toml:1: mine.poll_s: kind 'read' needs"),
        (
            '[mine]\nkind = "read"\nchar = "2C1E"\ntype = "i8"\nunit = "g"\npoll_s = 0.4\n',
            "f.toml:6: mine.poll_s: kind 'read' reads every 0.5 s at most",
        ),
        ('[mine]\nkind = "text"\nchar = "2C1E"\nunit = "g"\ntype = "i8"\n', "f.toml:5: mine.type: not for kind 'text'"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_place(text, told):
    assert mistakes(text)[0].startswith(told)


def test_fields_of_several_layouts_are_checked_each_with_its_line():
    text = """\
[mine]
kind = "service_data"
match.service_data_uuid = "0xFEAA"
type = "i16"
unit = "mg"
battery = { offset = 3, type = "u16", unit = "mV" }

[[mine.layout]]
header = "2101"
offset = 4

[[mine.layout]]
header = "2102"
offset = 5
length = 10
"""
    assert mistakes(text) == [
        "f.toml:6: mine.battery: `battery` and `offset` overlap at byte 4",
        "f.toml:14: mine.layout[1].offset: it ends at byte 11, the packet may end at byte 10",
    ]


def test_what_a_preset_says_decides_how_it_is_listened_to():
    text = GOOD + 'silence = "hold"\n[other]\nkind = "read"\nchar = "2C1E"\ntype = "i8"\nunit = "g"\npoll_s = 0.5\n'
    (mine, _), (other, _) = parse_presets(text, "f.toml")
    assert (mine.capabilities.silence, mine.capabilities.read_every_s) == (Silence.HOLD, 15.0)
    assert (other.capabilities.silence, other.capabilities.read_every_s, other.capabilities.rate_hz) == (
        Silence.HOLD, 0.5, 2.0,
    )  # fmt: skip


def test_files_that_cannot_be_presets_are_told(folder):
    path = put(folder, "")
    path.write_bytes(b"# ok\n\xff")
    with pytest.raises(ConfigError, match=rf"{path}:2: not UTF-8"):
        families(folder)
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(ConfigError, match=rf"{path}: too large"):
        families(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=rf"{path}: the preset cannot be read"):
        families(folder)


def test_config_check_also_checks_the_presets_beside_the_file(folder):
    config = folder / "posturewatch.toml"
    config.write_text('[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n')
    put(folder, GOOD)
    result = CliRunner().invoke(command, ["check", str(config)])
    assert result.exit_code == 0, result.output
    assert result.output.endswith("sensors: 1, sensor presets: 1\n")
    path = put(folder, GOOD + "repeat = 0\n")
    result = CliRunner().invoke(command, ["check", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(f"{path}:6: mine.repeat: ")
