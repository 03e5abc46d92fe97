"""What a person reads of a message at a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posturewatch.sinks.console import line_of
from posturewatch.types import Message


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"online", "t  online"),
        (b"", "t  (cleared)"),
        ({"time": "2026-03-02T09:36:50.000Z", "message": "Get up."}, "09:36:50  t  Get up."),
        ({"event_type": "held", "detail": {"until": None}}, "  t  held until=None"),
        ({"reminder": "ok", "cycle": "c1", "wear": "worn", "reason": None}, "  t  reminder=ok wear=worn"),
        (
            {"wearers": ["me"], "components": {f"part_{n}": {"name": n} for n in range(40)}},
            "  t  wearers=['me'] components=(40 entries)",
        ),
    ],
    ids=["word", "cleared", "prompt", "event", "state", "description"],
)
def test_it_is_one_short_line_with_what_matters(payload: Any, said: str) -> None:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    assert line_of(Message("t", content)) == said
