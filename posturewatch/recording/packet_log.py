"""Recordings: what came in, one JSON object a line, so that a replay sees exactly what the daemon saw.

The first line says what it is; each further line is one incoming item: `s` raw samples, `b` samples on the UTC clock,
`t` tick, `l` link change, `c` command, `o` what other devices say, `p` a packet byte for byte, which a replay leaves
out.  Acceleration is little-endian int32 in units of
10 µg, as base64.  A name that ends in `.gz` is compressed.  Nothing in it names a person or a device: sensors are
numbered, reasons left out.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import json
import logging
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from posturewatch.errors import RecordingError
from posturewatch.types import Command, LinkChanged, Placement, RawSamples, SampleBatch, Surroundings, Tick, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from posturewatch.recording.sent_packets import SentPacket
    from posturewatch.types import Incoming, Int32Array

log = logging.getLogger(__name__)

FORMAT = "posturewatch-recording"
VERSION = 1
UNIT = "10ug"
NO_REASON = "busy"  # instead of the reason of a silence
_MAX_LINE_BYTES = 4_000_000
_AXES = 3


@dataclass(frozen=True, slots=True)
class RecordedSensor:
    """One sensor of a recording; its number in the recording is its name."""

    sensor: str
    placement: Placement = Placement.UNKNOWN
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a recording."""

    started_ns: int
    sensors: tuple[RecordedSensor, ...]


class RecordingWriter:
    """Writes items to a file until it holds `max_bytes`; what comes later is counted, not written."""

    def __init__(self, path: Path, header: Header, max_bytes: int = 2_000_000_000) -> None:
        """Create `path`; `RecordingError` if it is there already or cannot be made.  Sensors get numbers."""
        self.path = path
        self.dropped = 0
        self._max_bytes = max_bytes
        self._written_bytes = 0
        self._numbers: dict[str, str] = {}
        try:
            raw = path.open("xb")
        except OSError as error:
            raise RecordingError(f"{path}: the recording cannot be made: {_why_not(error)}") from error
        self._raw = raw
        self._file: BinaryIO | gzip.GzipFile = (
            gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") if _is_gzip(path) else raw
        )
        sensors = [
            {"sensor": self._number(s.sensor), "placement": str(s.placement), "rate_hz": s.rate_hz}
            for s in header.sensors
        ]
        first = {"format": FORMAT, "version": VERSION, "unit": UNIT, "started_ns": header.started_ns}
        self._write_line({**first, "sensors": sensors})

    def write(self, item: Incoming) -> bool:
        """Append one item; False if the recording is full.  OSError if the disk is."""
        return self._append(self._encode(item))

    def write_sent(self, packet: SentPacket) -> bool:
        """Append what a sensor sent byte for byte; the same."""
        content = {"p": self._number(packet.sensor), "at": packet.at_ns, "part": packet.part}
        return self._append(content | {"hex": packet.payload.hex()} | ({"bad": True} if packet.is_bad else {}))

    def _append(self, content: dict[str, Any]) -> bool:
        if self._written_bytes >= self._max_bytes:
            if not self.dropped:
                log.warning("%s: the recording is full (%d bytes); no more is written", self.path, self._max_bytes)
            self.dropped += 1
            return False
        self._write_line(content)
        return True

    def flush(self) -> None:
        """Hand everything to the operating system; a kill loses nothing written before."""
        self._file.flush()
        self._raw.flush()

    def close(self) -> None:
        """Finish the file."""
        try:
            self._file.close()
        finally:
            self._raw.close()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _write_line(self, content: dict[str, Any]) -> None:
        line = json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self._written_bytes += len(line)
        self._file.write(line)

    def _number(self, sensor: str) -> str:
        return self._numbers.setdefault(sensor, f"sensor-{len(self._numbers) + 1}")

    def _encode(self, item: Incoming) -> dict[str, Any]:
        match item:
            case RawSamples():
                content = {"s": self._number(item.sensor), "at": item.arrived_ns, "hz": item.rate_hz}
                optional = {"last": item.last_ns, "seq": item.seq, "mod": item.seq_modulus or None}
                content |= {key: value for key, value in optional.items() if value is not None}
                return {**content, "acc": _to_base64(item.acc_10ug, "<i4")}
            case SampleBatch():
                acc = _to_base64(item.acc_10ug, "<i4")
                return {"b": self._number(item.sensor), "t": _to_base64(item.t_ns, "<i8"), "acc": acc}
            case Tick():
                return {"t": item.now_ns}
            case LinkChanged():
                return {"l": self._number(item.sensor), "at": item.t_ns, "up": item.up}
            case Command():
                names = ("request", "cycle", "minutes", "until_ns", "key", "value")
                given = {name: getattr(item, name) for name in names if getattr(item, name) is not None}
                return {"c": str(item.verb), "at": item.t_ns, **given}
            case Surroundings():
                return {"o": item.why is not None, "at": item.t_ns, "until": item.until_ns}
            case _:
                raise TypeError(f"a {type(item).__name__} is made by the core and is not recorded")


def redact(item: Incoming) -> Incoming:
    """`item` without its free text, as a recording holds it (apart from the sensor's number)."""
    match item:
        case LinkChanged():
            return replace(item, reason="")
        case Command():
            return replace(item, reason=None)
        case Surroundings():
            return replace(item, why=None if item.why is None else NO_REASON)
        case _:
            return item


def is_recording(path: Path) -> bool:
    """Whether `path` begins like a recording."""
    with contextlib.suppress(OSError, EOFError, zlib.error), _open(path) as file:
        return FORMAT.encode() in file.read(256)
    return False


class RecordingReader:
    """Reads a recording: its header at once, its items by iterating, as often as wanted."""

    def __init__(self, path: Path) -> None:
        """Read the first line; `RecordingError`, naming file and line, if it is not that of a recording."""
        self.path = path
        self.is_truncated = False
        number, content = next(self._lines(), (1, {}))
        if content.get("format") != FORMAT:
            raise RecordingError(f"{path}:{number}: this is not a recording made by `posturewatch record`")
        if content.get("version") != VERSION:
            raise RecordingError(
                f"{path}:{number}: version {content.get('version')!r} of the format, known is {VERSION}: "
                "update the program"
            )
        try:
            if content["unit"] != UNIT:
                raise ValueError(f"unit {content['unit']!r}, known is {UNIT!r}")
            self.header = Header(int(content["started_ns"]), tuple(_to_sensor(s) for s in content["sensors"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"{path}:{number}: the header is damaged ({error!r})") from error

    def __iter__(self) -> Iterator[Incoming]:
        """The items in order.  A line cut short at the end of the file ends it, with a warning."""
        lines = self._lines()
        next(lines, None)
        for number, content in lines:
            if "p" in content:
                continue
            try:
                item = _decode(content)
            except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
                raise RecordingError(f"{self.path}:{number}: the line is damaged ({error!r})") from error
            yield item

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        try:
            with _open(self.path) as file:
                while line := file.readline(_MAX_LINE_BYTES + 1):
                    number += 1
                    if not line.endswith(b"\n"):
                        if len(line) > _MAX_LINE_BYTES:
                            raise RecordingError(f"{self.path}:{number}: no line of a recording is that long")
                        self._end_early(number)
                        return
                    yield number, self._parse(number, line)
        except EOFError:  # gzip: the end of the stream is missing
            self._end_early(number + 1)
        except (OSError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RecordingError(f"{self.path}:{number + 1}: the recording cannot be read ({reason})") from error

    def _end_early(self, number: int) -> None:
        if not self.is_truncated:
            log.warning("%s:%d: the recording is cut short here; what is before it is used", self.path, number)
        self.is_truncated = True

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{self.path}:{number}: the line is not JSON ({error})") from error
        if not isinstance(content, dict):
            raise RecordingError(f"{self.path}:{number}: the line is not a JSON object")
        return content


def _why_not(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return "it is there already, and is not overwritten; name another one"
    if isinstance(error, FileNotFoundError):
        return "its folder is not there; make it first"
    return str(error.strerror)


def _is_gzip(path: Path) -> bool:
    return path.suffix == ".gz"


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.GzipFile(path, "rb") if _is_gzip(path) else path.open("rb")


def _to_sensor(content: dict[str, Any]) -> RecordedSensor:
    rate = content.get("rate_hz")
    return RecordedSensor(
        str(content["sensor"]), Placement(content["placement"]), None if rate is None else float(rate)
    )


def _decode(content: dict[str, Any]) -> Incoming:
    if "s" in content:
        return RawSamples(
            sensor=_text(content["s"]),
            arrived_ns=_integer(content["at"]),
            acc_10ug=_to_acc(content["acc"]),
            rate_hz=float(content["hz"]),
            last_ns=_integer_or_none(content.get("last")),
            seq=_integer_or_none(content.get("seq")),
            seq_modulus=_integer(content.get("mod", 0)),
        )
    if "b" in content:
        acc, t_ns = _to_acc(content["acc"]), _from_base64(content["t"], "<i8").astype(np.int64)
        if len(acc) != len(t_ns) or bool(np.any(np.diff(t_ns) < 0)):
            raise ValueError("times and samples do not fit")
        return SampleBatch(_text(content["b"]), t_ns, acc)
    if "l" in content:
        if not isinstance(content["up"], bool):
            raise ValueError("up is neither true nor false")
        return LinkChanged(_text(content["l"]), _integer(content["at"]), content["up"])
    if "c" in content:
        names = ("request", "cycle", "minutes", "until_ns", "key", "value")
        given = {name: content[name] for name in names if name in content}
        return Command(_integer(content["at"]), Verb(content["c"]), **given)
    if "o" in content:
        if not isinstance(content["o"], bool):
            raise ValueError("o is neither true nor false")
        why = NO_REASON if content["o"] else None
        return Surroundings(_integer(content["at"]), why, _integer(content["until"]))
    return Tick(_integer(content["t"]))


def _integer(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(f"not a 64-bit integer: {value!r}")
    return value


def _integer_or_none(value: Any) -> int | None:
    return None if value is None else _integer(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a name: {value!r}")
    return value


def _to_base64(numbers: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=dtype).tobytes()).decode("ascii")


def _from_base64(text: Any, dtype: str) -> Any:
    return np.frombuffer(base64.b64decode(_text(text), validate=True), dtype=dtype)


def _to_acc(text: Any) -> Int32Array:
    numbers = _from_base64(text, "<i4")
    if numbers.size % _AXES:
        raise ValueError("not three numbers a sample")
    acc: Int32Array = numbers.reshape(-1, _AXES).astype(np.int32)
    return acc
