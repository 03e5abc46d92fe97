"""`posturewatch config` tells what counts and where it comes from, and keeps secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from posturewatch.cli.config import command
from posturewatch.config.generation import render_schema
from posturewatch.errors import ConfigError

TEXT = """\
[broker]
username = "u"
password = "s3cret"
[[wearer]]
id = "me"
[[wearer.sensor]]
id = "chest"
placement = "chest"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    return path


def invoke(*arguments: str, **environ: str):
    return CliRunner(env=environ).invoke(command, [*arguments])


def test_show_gives_every_value_with_its_origin(file):
    lines = invoke("show", "--config", str(file), POSTUREWATCH_LOG__LEVEL="error").output.splitlines()
    assert f'broker.username = "u"  # {file}:2' in lines
    assert "broker.port = null  # default" in lines
    assert 'log.level = "error"  # environment POSTUREWATCH_LOG__LEVEL' in lines
    assert f'wearer[0].sensor[0].placement = "chest"  # {file}:8' in lines


def test_show_as_json_holds_the_same(file):
    rows = json.loads(invoke("show", "--json", "--config", str(file)).output)
    assert {"key": "wearer[0].id", "value": "me", "origin": f"{file}:5"} in rows


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_show_masks_secrets(file, form):
    output = invoke("show", "--config", str(file), *form).output
    assert "s3cret" not in output
    assert "**********" in output


def test_show_follows_the_named_file(file):
    assert f"# {file}:5" in invoke("show", POSTUREWATCH_CONFIG=str(file)).output


def test_check_counts_what_it_found(file):
    result = invoke("check", str(file))
    assert (result.exit_code, result.output) == (0, f"{file}: right; wearers: 1, sensors: 1\n")


@pytest.mark.parametrize(
    "line", ['calibration_file = "absent.json"', "rate_hz = 0", "rate = 5.0", 'placement = "toe"', "["]
)
def test_check_refuses_what_the_daemon_would_refuse(file, line):
    file.write_text(f"{TEXT}{line}\n")
    result = invoke("check", str(file))
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 2


def test_schema_is_the_one_of_the_project():
    assert invoke("schema").output == render_schema()
