"""What a bug report needs, without what is nobody's business: no password, no name, no address but as a mark.

A mark is a hash with a salt that is thrown away: equal things have equal marks within one report, and nobody can tell
from a mark what it stood for.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import re
import secrets
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posturewatch import __version__
from posturewatch.clock import read_wall_ns
from posturewatch.publishing.messages import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posturewatch.config import LoadedConfig

PACKAGES = ("aiomqtt", "bleak", "bumble", "click", "iotcore", "numpy", "paho-mqtt", "pydantic")
SECRET_KEYS = frozenset({"password"})
PRIVATE_KEYS = frozenset(  # values that say who or where
    {"username", "client_id", "host", "address", "name", "id", "sensor", "wearer", "topic", "base_topic", "prefix",
     "reason", "hold_reason", "holidays", "cycle", "command"}
)  # fmt: skip
HARMLESS = frozenset({"localhost", "127.0.0.1", "::1", "posturewatch", "homeassistant", "me", "chest", "thigh", "head"})
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}")
_IP = re.compile(r"(?<![\d.])(?!127\.)(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_LEAST_WORD = 2


def render_report(loaded: LoadedConfig | None, findings: list[dict[str, Any]], status: Mapping[str, Any] | None) -> str:
    """JSON for a file."""
    config = {} if loaded is None else loaded.config.model_dump(mode="json")
    marks = Marks([*_private_words(config), *_private_words(status or {}), *_words_of_machine()])
    content = {
        "made": iso(read_wall_ns()),
        "posturewatch": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": dict(_versions()),
        "findings": findings,
        "configuration": config,
        "status": status,
    }
    return json.dumps(marks.clean(content), indent=2, ensure_ascii=False) + "\n"


class Marks:
    """Puts marks in place of private words."""

    def __init__(self, words: list[str]) -> None:
        """`words` are private wherever they appear."""
        self._salt = secrets.token_bytes(16)
        known = sorted({w for w in words if len(w) >= _LEAST_WORD and w.lower() not in HARMLESS}, key=len, reverse=True)
        inner = "|".join(re.escape(word) for word in known)
        self._words = re.compile(rf"(?<![A-Za-z0-9])(?:{inner})(?![A-Za-z0-9])", re.IGNORECASE) if known else None

    def clean(self, node: Any, key: str = "") -> Any:
        """The same without them."""
        if isinstance(node, dict):
            return {self._clean_text(str(name)): self.clean(member, str(name)) for name, member in node.items()}
        if isinstance(node, list | tuple):
            return [self.clean(member, key) for member in node]
        if key in SECRET_KEYS and node is not None:
            return "(removed)"
        return self._clean_text(node) if isinstance(node, str) else node

    def _clean_text(self, text: str) -> str:
        text = text.replace(str(Path.home()), "~")
        for pattern in (self._words, _ADDRESS, _IP):
            text = text if pattern is None else pattern.sub(self._mark, text)
        return text

    def _mark(self, found: re.Match[str]) -> str:
        return f"<{hashlib.sha256(self._salt + found[0].lower().encode()).hexdigest()[:8]}>"


def _private_words(node: Any, key: str = "") -> Iterator[str]:
    """Every text below a key that says who or where, or that holds a secret."""
    if isinstance(node, dict):
        for name, member in node.items():
            yield from _private_words(member, str(name))
    elif isinstance(node, list | tuple):
        for member in node:
            yield from _private_words(member, key)
    elif isinstance(node, str) and (key in PRIVATE_KEYS or key in SECRET_KEYS):
        yield node


def _words_of_machine() -> Iterator[str]:
    yield platform.node()
    try:
        yield getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return


def _versions() -> Iterator[tuple[str, str]]:
    yield "interpreter", sys.implementation.name
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
