"""TOML files of people, read with a bound: what is wrong with one is one line that names the place."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from posturewatch.config.places import locate_keys
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.config.places import Path as KeyPath


def read_text(path: Path, is_called: str, max_bytes: int) -> str:
    """The text of a file that `is_called` "configuration" or "preset" in errors.  Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{path}: the {is_called} cannot be read: {error.strerror}") from error
    if len(content) > max_bytes:
        raise ConfigError(f"{path}: too large for a {is_called} (over {max_bytes} bytes)")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error


def parse(text: str, path: Path | str | None, is_called: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The tables, and the line of each key.  Raises `ConfigError`."""
    try:
        return tomllib.loads(text), locate_keys(text)
    except tomllib.TOMLDecodeError as error:
        match = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", str(error), re.DOTALL)
        line = match[2] if match else str(text.count("\n") + 1)
        reason = match[1] if match else str(error).removesuffix(" (at end of document)")
        raise ConfigError(f"{path}:{line}: not TOML: {' '.join(reason.split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not a {is_called}: nested too deep") from error
