"""`posturewatch decode` shows what a packet says, or why it says nothing."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from posturewatch.cli.decode import command
from posturewatch.errors import DecodeError, UsageError

H10 = "02ea54a2428b4552080145ffe4ffb50345ffe4ffb803"
TAG = "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"


def invoke(*arguments: str, **environ: str):
    return CliRunner(env=environ).invoke(command, [*arguments])


def test_the_table_shows_samples_and_time():
    lines = invoke("polar", H10).output.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["x_g", "y_g", "z_g"], ["-0.18700", "-0.02800", "0.94900"], ["-0.18700", "-0.02800", "0.95200"],
    ]  # fmt: skip
    assert lines[3].startswith("time: 599618164814402794 ns")
    assert len({len(line) for line in lines[:3]}) == 1


def test_json_has_an_object_for_each_packet():
    told = [json.loads(line) for line in invoke("ruuvi", TAG, TAG.upper(), "--json").output.splitlines()]
    assert told[0] == told[1] == {
        "family": "ruuvi", "samples_g": [[0.004, -0.004, 1.036]], "time_ns": None, "seq": 205, "battery_pct": None,
        "battery_mv": 2977, "invalid": 0,
    }  # fmt: skip


def test_the_factor_scales_counts():
    counts = "02646c76c43cc67f0780d0ff6501e40f"
    assert "-0.01171" in invoke("polar", counts, "--factor", "0.000244").output
    assert isinstance(invoke("polar", counts).exception, DecodeError)


@pytest.mark.parametrize("spelled", ["21 01 0b 0c 13 18 00 00 21 ff fd fc 12", "0x21010B0C1318000021FFFDFC12"])
def test_hex_digits_may_be_spelled_as_people_do(spelled):
    assert "voltage: 3091 mV" in invoke("kkm", spelled).output


def test_what_was_left_out_is_told():
    assert invoke("ruuvi", "058000ffffffff800080008000ffffffffffffffffffffff").output.splitlines() == [
        "no samples",
        "invalid: 1 sample(s) left out",
    ]


def test_a_decode_error_is_one_line_and_in_json_an_object():
    result = invoke("bthome", "44518756", "--json")
    assert isinstance(result.exception, DecodeError)
    assert result.exception.exit_code == 3
    assert json.loads(result.output) == {"family": "bthome", "error": str(result.exception)}
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("polr", "00"), "did you mean polar"),
        (("Ruuvi", "00"), "did you mean ruuvi"),
        (("zzzz", "00"), "known are .*bthome.*kkm.*minew"),
        (("h10", "00"), "did you mean polar"),
        (("polar", ""), "hex digits"),
        (("polar", "-"), "hex digits"),
        (("polar", H10, "--factor", "nan"), "number of g per count"),
        (("polar", "0"), "even number of hex digits"),
        (("polar", "xyz"), "hex digits"),
        (("polar", "00" * 20_000), "at most"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments, told):
    error = invoke(*arguments).exception
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    with pytest.raises(UsageError, match=told):
        raise error


def test_a_factor_that_scales_nothing_is_refused():
    for factor in ("0", "-1", "x"):
        assert invoke("polar", H10, "--factor", factor).exit_code == 2


def test_the_users_own_sensors_can_be_decoded(tmp_path):
    (tmp_path / "sensors").mkdir()
    text = '[mine]\nkind = "notify"\nchar = "0x2C1E"\ntype = "i8"\nunit = "g"\n'
    (tmp_path / "sensors/mine.toml").write_text(text)
    result = invoke("mine", "0100ff", POSTUREWATCH_CONFIG=str(tmp_path / "posturewatch.toml"))
    assert result.output.splitlines()[1].split() == ["1.00000", "0.00000", "-1.00000"]


@pytest.mark.parametrize(
    ("family", "prefix", "packet"),
    [
        ("ruuvi", "9904", TAG),
        ("ruuvi", "1bff9904", TAG),
        ("kkm", "aafe", "21010b0c1318000021fffdfc12"),
        ("bthome", "d2fc", "400009630000000063632eb5ff6308978100"),
    ],
)
def test_what_stands_before_the_data_in_an_advertisement_is_pointed_out(family, prefix, packet):
    with pytest.raises(DecodeError, match=f"without the first {len(prefix) // 2} bytes \\({prefix}\\)"):
        CliRunner().invoke(command, [family, prefix + packet], catch_exceptions=False, standalone_mode=False)
    assert invoke(family, packet).exit_code == 0
