"""Whatever a file or the environment holds: a configuration, or one line for each mistake."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from posturewatch.config import LoadedConfig, load
from posturewatch.config.generation import render_sample
from posturewatch.errors import ConfigError

SAMPLE = [line.removeprefix("#") if " = " in line else line for line in render_sample().splitlines()]
KEYS = ["wearer", "sensor", "broker", "id", '"a\\"b"', "'x.y'", "port", "detection", "0"]
KEY = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(".".join)
VALUE = st.sampled_from(
    [
        "1",
        "-1e400",
        "nan",
        '"""\n[x]\n"""',
        "[]",
        "[{}]",
        "{id = 1}",
        "[[1],\n[2]]",
        "1979-05-27",
        "true",
        "'['",
        "9" * 400,
    ]
)
LINE = st.one_of(
    KEY.map("[{}]".format),
    KEY.map("[[{}]]".format),
    st.builds("{} = {}".format, KEY, VALUE),
    st.sampled_from(SAMPLE),
    st.text(max_size=10),
)


def attempt(path: Path | None, environ: dict[str, str]) -> None:
    try:
        loaded = load(path, environ)
    except ConfigError as error:
        for line in str(error).splitlines():
            assert line.startswith((f"{path}", "environment POSTUREWATCH_", "configuration: "))
    else:
        assert isinstance(loaded, LoadedConfig)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINE, max_size=10))
def test_any_text_is_a_configuration_or_told_mistakes(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.toml"
        path.write_text("\n".join(lines), "utf-8", errors="replace")
        attempt(path, {})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_configuration_or_told_mistakes(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.toml"
        path.write_bytes(content)
        attempt(path, {})


PART = st.sampled_from(
    ["WEARER", "SENSOR", "BROKER", "0", "1", "ID", "PORT", "PASSWORD", "DETECTION", "", "²", "9" * 30]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.lists(PART, min_size=2, max_size=5).map("__".join), st.text(max_size=8) | VALUE, max_size=3))
def test_any_environment_is_a_configuration_or_told_mistakes(settings_by_name):
    attempt(None, {f"POSTUREWATCH_{name}": value for name, value in settings_by_name.items()})
