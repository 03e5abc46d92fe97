"""Recordings of samples, read in pieces: Parquet and CSV files of time, x, y, z.

Memory stays bounded by the row groups of a Parquet file, whatever its length.  Everything that cannot be meant is a
`RecordingError` that names the file, the place and the fix; what can be worked with is counted in `notes`.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from posturewatch.core.framing import estimate_step
from posturewatch.errors import MissingExtra, RecordingError
from posturewatch.types import NS_PER_S, UNITS_PER_G, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from posturewatch.types import Int32Array, Int64Array

    Piece = tuple[NDArray[Any], list[NDArray[Any]]]  # time, and the three axes

T = TypeVar("T")

RELATIVE_START_NS = 946_684_800 * NS_PER_S  # 2000-01-01: where a recording without a date is put
BATCH_ROWS = 131_072
AHEAD = 4  # batches
WHOLE_ROWS = 8 * BATCH_ROWS  # 32 MB
PROBE_ROWS = 60_000  # what the sensor's digits and unit are judged by
UNIT_G = {"g": 1.0, "mg": 1e-3, "m/s2": 1.0 / 9.80665}
TIME_NAMES = ("t_s", "time_s", "time", "timestamp", "datetime", "date_time", "t", "epoch")
AXIS_NAMES = (("x", "y", "z"), ("acc_x", "acc_y", "acc_z"), ("accel_x", "accel_y", "accel_z"), ("ax", "ay", "az"))
LARGE_GROUP_S = 3600.0
ABSOLUTE_FROM_S = 100_000_000.0  # seconds beyond this are a date (1973), not a duration
MAX_G = 1000.0
SURE_G, LIKELY_G, POSSIBLE_G = (0.7, 1.4), (0.5, 2.0), (0.3, 3.0)  # median |a| of a body, ever less strictly
EXACT_S = 2e6  # up to here the product with 10^9 is exact to a quarter of a nanosecond
SET_BACK_NS = 60 * NS_PER_S
LATEST_S = 9e9  # the year 2255: int64 nanoseconds end a little later


@dataclass(slots=True)
class Samples:
    """One recording of one sensor."""

    path: Path
    start_ns: int  # of the first sample
    rows: int  # 0: not known before the end
    step_10ug: int | None  # the size of one digit, judged from the beginning
    rate_hz: float | None
    dated: bool  # the recording says when it was made
    unit: str
    notes: list[str] = field(default_factory=list)  # what a person should know
    dropped: int = 0  # samples that were no numbers
    done_rows: int = 0  # how far the last pass is

    def batches(self) -> Iterator[SampleBatch]:
        """All samples, from the start; may be called again for another pass."""
        self.dropped = self.done_rows = 0
        for batch, rows in _read_ahead(self._pieces()):
            self.done_rows += rows
            if len(batch.t_ns):
                yield batch

    def _pieces(self) -> Iterator[tuple[SampleBatch, int]]:
        """The samples of each piece, and how many rows it had."""
        last_ns: int | None = None
        row = 0
        for time, axes in _tables(self.path):
            t_ns, acc = self._convert(time, axes, row)
            _check_order(self.path, t_ns, last_ns, row)
            row += len(time)
            if len(t_ns):
                last_ns = int(t_ns[-1])
            yield SampleBatch("recording", t_ns, acc), len(time)

    def _convert(self, time: NDArray[Any], axes: list[NDArray[Any]], row: int) -> tuple[Int64Array, Int32Array]:
        t_ns, known = _to_ns(self.path, time, row)
        scale, limit = UNIT_G[self.unit] * UNITS_PER_G, MAX_G * UNITS_PER_G
        acc = np.empty((3, len(t_ns)), np.int32)  # axis by axis, as it is read and as it is summed
        scaled = np.empty(len(t_ns), np.result_type(*axes, scale))  # 32 bits stay 32: half the memory to pass
        for axis, values in zip(acc, axes, strict=True):
            np.multiply(values, scale, out=scaled)
            if len(scaled) and not -limit <= scaled.min() <= scaled.max() <= limit:  # cheap looks, before the dear one
                known &= np.isfinite(scaled)
                np.clip(np.nan_to_num(scaled, copy=False, posinf=0.0, neginf=0.0), -limit, limit, out=scaled)
            axis[:] = np.rint(scaled, out=scaled)
        if not known.all():
            self.dropped += int((~known).sum())
            t_ns, acc = t_ns[known], acc[:, known]
        return t_ns, acc.T


def open_samples(path: Path, unit: str = "g") -> Samples:
    """Look at the beginning of a recording; RecordingError says what is wrong with it and what to do."""
    if not path.exists():
        raise RecordingError(f"{path}: there is no such file")
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; name one recording")
    if path.stat().st_size == 0:
        raise RecordingError(f"{path}: is empty")
    times, parts, have = [], [], 0
    for time, axes in _tables(path):
        times.append(time)
        parts.append(axes)
        have += len(time)
        if have >= PROBE_ROWS:
            break
    if not have:
        raise RecordingError(f"{path}: has a header and no samples")
    time = np.concatenate(times)
    axes = [np.concatenate([p[i] for p in parts]) for i in range(3)]
    found = Samples(path, 0, _count(path), None, None, _is_dated(time), unit)
    t_ns, acc = found._convert(time, axes, 0)
    found.dropped = 0
    if not len(t_ns):
        raise RecordingError(f"{path}: has no sample that is a number in its first {have} rows")
    _check_order(path, t_ns, None, 0)
    _check_unit(found, acc)
    found.start_ns = int(t_ns[0])
    found.step_10ug = estimate_step(acc)
    steps = np.diff(t_ns)
    moving = steps[steps > 0]
    found.rate_hz = NS_PER_S / _median(moving) if len(moving) else None
    if len(steps) and len(moving) < 0.5 * len(steps):
        found.notes.append(
            "most samples share their time stamp with the one before: walking cannot be told; use finer time stamps"
        )
    _note_groups(found)
    return found


def _check_unit(found: Samples, acc: Int32Array) -> None:
    """A body at rest reads 1 g: the wrong unit shows."""
    norm_g = _median(np.sqrt((acc.astype(np.float64) ** 2).sum(axis=1))) / UNITS_PER_G
    if norm_g == 0.0 and not acc.any():
        raise RecordingError(f"{found.path}: all samples are 0: a sensor at rest reads 1 g; is the export right?")
    for unit, size in UNIT_G.items():
        seen = norm_g / UNIT_G[found.unit] * size
        if unit != found.unit and _is_within(seen, SURE_G) and not _is_within(norm_g, LIKELY_G):
            raise RecordingError(
                f"{found.path}: the samples are about {norm_g / UNIT_G[found.unit]:.3g} long, so they are in {unit}"
                f" and not in {found.unit}: use --unit {unit}"
            )
    if not _is_within(norm_g, POSSIBLE_G):
        raise RecordingError(
            f"{found.path}: the samples are about {norm_g:.3g} {found.unit} long, where a body at rest reads 1 g with"
            " gravity included: check the unit (--unit g, mg or m/s2) and that gravity was not taken out"
        )
    missing = [name for name, axis in zip("xyz", acc.T, strict=True) if not axis.any()]
    if len(missing) > 1:
        raise RecordingError(f"{found.path}: {', '.join(missing)} are 0 throughout: three axes with gravity are needed")


def _median(values: NDArray[Any]) -> float:
    """The upper one of two; `np.median` would load numpy's masked arrays for it."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def _is_within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] < value < bounds[1]


def _check_order(path: Path, t_ns: Int64Array, last_ns: int | None, row: int) -> None:
    if not len(t_ns):
        return
    if last_ns is not None and int(t_ns[0]) < last_ns:
        raise RecordingError(f"{path}: row {row + 1}: {_way_back(last_ns - int(t_ns[0]), 1)}")
    back = np.flatnonzero(t_ns[1:] < t_ns[:-1])
    if len(back):
        by_ns = int(t_ns[back[0]]) - int(t_ns[back[0] + 1])
        raise RecordingError(f"{path}: row {row + int(back[0]) + 2}: {_way_back(by_ns, len(back))}")


def _way_back(by_ns: int, times: int) -> str:
    """One large step is a clock that was set back, many are rows out of order."""
    if times == 1 and by_ns > SET_BACK_NS:
        return (
            f"the clock was set back by {by_ns / NS_PER_S:.0f} s here: cut the recording in two at this row, "
            "or sort it by time if its rows are only out of order"
        )
    return "the time goes back; sort the recording by time"


def _to_ns(path: Path, time: NDArray[Any], row: int) -> tuple[Int64Array, NDArray[np.bool_]]:
    """Whatever the time column holds, as int64 ns; and which rows have a time at all."""
    if np.issubdtype(time.dtype, np.datetime64):
        known = ~np.isnat(time)
        return time.astype("datetime64[ns]", copy=False).view(np.int64), known
    if np.issubdtype(time.dtype, np.integer):
        largest = abs(int(time[0])) if len(time) else 0
        scale = next((s for limit, s in ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3)) if largest < limit), 1)
        t_ns = time.astype(np.int64) * scale
        return (t_ns if largest * scale > ABSOLUTE_FROM_S * NS_PER_S else t_ns + RELATIVE_START_NS), np.ones(
            len(time), np.bool_
        )
    if not np.issubdtype(time.dtype, np.floating):
        raise RecordingError(f"{path}: row {row + 1}: {str(time[0])!r} is no time: seconds or ISO 8601 is wanted")
    known = np.isfinite(time)
    seconds = time if known.all() else np.where(known, time, 0.0)
    largest_s = max(float(seconds.max()), -float(seconds.min())) if len(seconds) else 0.0
    if largest_s > LATEST_S:
        raise RecordingError(f"{path}: row {row + 1}: times beyond the year 2255; is the column in seconds?")
    if largest_s < EXACT_S:
        t_ns = np.rint(seconds * float(NS_PER_S)).astype(np.int64)
    else:
        whole = np.floor(seconds)
        t_ns = whole.astype(np.int64) * NS_PER_S + np.rint((seconds - whole) * NS_PER_S).astype(np.int64)
    if not _is_dated(time):
        t_ns += RELATIVE_START_NS
    return t_ns, known


def _is_dated(time: NDArray[Any]) -> bool:
    if np.issubdtype(time.dtype, np.datetime64):
        return True
    first = float(time[0]) if len(time) and np.issubdtype(time.dtype, np.number) else 0.0
    return first > ABSOLUTE_FROM_S


# ---------------------------------------------------------------- files


def _read_ahead(pieces: Iterator[T]) -> Iterator[T]:
    """The same pieces, some of them read while the ones before are worked on."""
    waiting: deque[Future[T | None]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        try:
            waiting.extend(reader.submit(next, pieces, None) for _ in range(AHEAD))
            while (piece := waiting.popleft().result()) is not None:
                waiting.append(reader.submit(next, pieces, None))
                yield piece
        finally:
            reader.shutdown(wait=False, cancel_futures=True)


def _arrow() -> Any:
    try:
        import pyarrow  # noqa: PLC0415  an extra: only who replays files needs it
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("reading recordings needs the extra [data]: pip install 'posturewatch[data]'") from error
    return pyarrow


def _tables(path: Path) -> Iterator[Piece]:
    """Time and axes, piece by piece."""
    pa = _arrow()
    try:
        batches = _parquet(pa, path) if path.suffix.lower() in (".parquet", ".pq") else _csv(pa, path)
        for batch in batches:
            if batch.num_rows:
                yield _time(path, batch), [_number(path, batch, i) for i in (1, 2, 3)]
    except (pa.ArrowInvalid, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise RecordingError(f"{path}: cannot be read ({first}); is it complete?") from error


def _parquet(pa: Any, path: Path) -> Iterator[Any]:
    # pre_buffer would hold whole row groups in memory twice
    with pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        columns = _choose(path, file.schema_arrow.names)
        for at in range(file.num_row_groups):
            if file.metadata.row_group(at).num_rows <= WHOLE_ROWS:  # at once is faster, and small enough
                batches = file.read_row_group(at, columns=columns).to_batches(BATCH_ROWS)
            else:
                batches = file.iter_batches(batch_size=BATCH_ROWS, row_groups=[at], columns=columns)
            for batch in batches:
                yield batch.select(columns)


def _csv(pa: Any, path: Path) -> Iterator[Any]:
    import pyarrow.csv  # noqa: F401, PLC0415  not loaded for Parquet

    with path.open("rb") as raw:
        head = raw.read(4096)
    if b"\x00" in head:
        raise RecordingError(f"{path}: is neither Parquet (*.parquet) nor CSV nor a packet log")
    first = head.split(b"\n", 1)[0]
    delimiter = max((b",", b";", b"\t"), key=first.count).decode()
    reader = pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=4 << 20),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        convert_options=pa.csv.ConvertOptions(null_values=["", "NaN", "nan", "NA", "null"]),
    )
    with reader:
        columns = _choose(path, reader.schema.names)
        for batch in reader:
            yield batch.select(columns)


def _choose(path: Path, names: list[str]) -> list[str]:
    """The time and the three axes among the columns."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    time = next((lower[n] for n in TIME_NAMES if n in lower), None)
    axes = next(([lower[n] for n in group] for group in AXIS_NAMES if all(n in lower for n in group)), None)
    if time is None or axes is None:
        missing = "a time column (t_s in seconds, or time) is" if time is None else "three axes (x, y, z) are"
        raise RecordingError(f"{path}: {missing} missing; it has {', '.join(names[:12]) or 'no columns'}")
    return [time, *axes]


def _time(path: Path, batch: Any) -> NDArray[Any]:
    column = batch.column(0)
    if not _is_text(column):
        return _array(column)
    for kind in ("double", "timestamp[ns]"):
        try:
            return _array(column.cast(kind))
        except Exception as error:
            if type(error).__module__.split(".")[0] != "pyarrow":
                raise
    raise RecordingError(f"{path}: {column[0].as_py()!r} is no time: seconds or ISO 8601 is wanted")


def _number(path: Path, batch: Any, index: int) -> NDArray[Any]:
    column = batch.column(index)
    array = _array(column)
    if _is_text(column) or not np.issubdtype(array.dtype, np.number):
        name = batch.schema.names[index]
        raise RecordingError(f"{path}: column {name} holds {str(column[0].as_py())!r}, which is no number")
    return array.astype(np.float32) if array.dtype == np.float16 else array  # in 10 µg it would overflow


def _array(column: Any) -> NDArray[Any]:
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array


def _is_text(column: Any) -> bool:
    return str(column.type) in ("string", "large_string", "string_view")


def _count(path: Path) -> int:
    if path.suffix.lower() not in (".parquet", ".pq"):
        return 0
    return int(_arrow().parquet.read_metadata(path).num_rows)


def _note_groups(found: Samples) -> None:
    if found.path.suffix.lower() not in (".parquet", ".pq") or not found.rate_hz:
        return
    metadata = _arrow().parquet.read_metadata(found.path)
    largest = max((metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)), default=0)
    hours = largest / found.rate_hz / LARGE_GROUP_S
    if hours > 1.0:
        found.notes.append(
            f"row groups of up to {hours:.1f} h: memory grows with them; write groups of at most one hour"
        )
