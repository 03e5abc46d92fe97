"""Waiting for what sends no event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def until(what: Callable[[], Any], within_s: float = 20.0, told: Callable[[], Any] = lambda: "") -> Any:
    """Poll until `what` gives something true; its value."""
    deadline_s = time.monotonic() + within_s
    while not (found := what()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s:g} s; {told()}")
        time.sleep(0.01)
    return found
