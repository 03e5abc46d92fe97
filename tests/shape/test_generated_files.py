"""Files made by a program are as the program makes them now."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from posturewatch.config import load
from posturewatch.config.generation import render_sample, render_schema
from posturewatch.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = render_sample()
OPTIONAL_LINES = [n for n, line in enumerate(SAMPLE.splitlines()) if re.match(r"#\w+ = ", line)]


def test_sample_configuration_and_schema_are_in_step():
    hint = "run: python -m posturewatch.config config/"
    assert (ROOT / "config/posturewatch.toml").read_text("utf-8") == SAMPLE, hint
    assert (ROOT / "config/schema.json").read_text("utf-8") == render_schema(), hint


def test_sample_configuration_loads_and_fits_the_schema():
    loaded = load(ROOT / "config/posturewatch.toml", {})
    assert [wearer.id for wearer in loaded.config.wearer] == ["me"]
    jsonschema.validate(tomllib.loads(SAMPLE), json.loads(render_schema()))


@pytest.mark.parametrize("number", OPTIONAL_LINES)
def test_each_optional_line_of_the_sample_can_be_used(tmp_path, number):
    lines = SAMPLE.splitlines()
    lines[number] = lines[number].removeprefix("#")
    header = max(n for n in range(number) if re.match(r"#?\[", lines[n]))
    if lines[header].startswith("#"):  # a table that nobody needs: with it comes what it cannot be without
        needed = next(n for n in range(header, len(lines)) if re.match(r"#\w+ = ", SAMPLE.splitlines()[n]))
        lines[header], lines[needed] = lines[header][1:], lines[needed].removeprefix("#")
    path = tmp_path / "posturewatch.toml"
    path.write_text("\n".join(lines))
    try:
        load(path, {})
    except ConfigError as error:  # keys that belong together refuse to stand alone; no other complaint is right
        assert re.search(r"a password needs a username|need tls = true|belong together|only with source", str(error)), (
            error
        )
