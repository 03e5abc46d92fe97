"""Samples as lines of text over a serial service: `x,y,z` and a line end.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.drivers import Packet
from posturewatch.drivers.units import convert
from posturewatch.errors import DecodeError

if TYPE_CHECKING:
    from posturewatch.drivers.described_layout import Scale

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_LINE_END = re.compile(rb"[\r\n]+")
_AXES = 3


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a line is written."""

    scale: Scale
    separator: str = ","
    order: tuple[tuple[int, int], ...] = ((0, 1), (1, 1), (2, 1))  # axis and sign of each number of a line
    max_line: int = 200

    def read_line(self, line: bytes) -> list[float] | None:
        """The raw numbers, on their axes; None for another text."""
        parts = [part.strip() for part in line.split(self.separator.encode() if self.separator.strip() else None)]
        if len(parts) != _AXES or not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        placed = [0.0] * _AXES
        for part, (axis, sign) in zip(parts, self.order, strict=True):
            placed[axis] = sign * float(part)
        return placed


class LineReader:
    """Puts the pieces of lines together; never keeps more than one line of the longest kind."""

    def __init__(self, layout: TextLayout) -> None:
        self._layout = layout
        self._rest = b""
        self._is_skipping = True  # the first piece may begin inside a line

    def feed(self, piece: bytes, rate_hz: float) -> Packet | None:
        """The samples of the lines that `piece` ends; None if it ends none; `DecodeError` if none is a sample."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        if self._is_skipping and lines:
            lines = lines if self._layout.read_line(lines[0]) else lines[1:]
            self._is_skipping = False
        if len(self._rest) > self._layout.max_line:
            self._rest, self._is_skipping = b"", True
            if not lines:
                raise DecodeError(f"a line of more than {self._layout.max_line} bytes: is there no line end?")
        lines = [line for line in lines if line]
        return decode_lines(self._layout, lines, rate_hz) if lines else None


def decode_lines(layout: TextLayout, lines: list[bytes], rate_hz: float, factor: float | None = None) -> Packet:
    """Whole lines; those that are no samples are counted, and are an error when there is nothing else."""
    rows = [row for line in lines if len(line) <= layout.max_line and (row := layout.read_line(line)) is not None]
    if not rows:
        raise DecodeError(f"{lines[0][:40]!r} is not x{layout.separator}y{layout.separator}z")
    acc_10ug, impossible = convert(layout.scale.apply(np.array(rows), factor), 1.0)
    return Packet(acc_10ug, rate_hz, invalid=len(lines) - len(rows) + impossible)


def decode_text(layout: TextLayout, payload: bytes, rate_hz: float, factor: float | None = None) -> Packet:
    """A text out of context: its last line may lack its end."""
    lines = [line for line in _LINE_END.split(payload) if line]
    if not lines:
        raise DecodeError("a text without a line")
    return decode_lines(layout, lines, rate_hz, factor)
