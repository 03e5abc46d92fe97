"""Write a simulated recording as Parquet or CSV, in the form that `posturewatch replay` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posturewatch_sim.scenarios import ScenarioError
from posturewatch_sim.stream import Chunk

if TYPE_CHECKING:
    import polars as pl

NAMES = ("t_s", "x", "y", "z")
UNITS_PER_G = 100_000.0  # 10 µg
ROW_GROUP = 180_000  # an hour at 50 Hz: a reader needs little memory


def write(path: Path, chunks: Iterable[Chunk], start_ns: int) -> int:
    """Write all chunks to a .parquet or .csv file; returns the number of samples."""
    if path.suffix == ".csv":
        return _write_csv(path, chunks, start_ns)
    if path.suffix == ".parquet":
        return _write_parquet(path, chunks, start_ns)
    raise ScenarioError(f"{path}: a recording is written as .parquet or .csv")


def _write_csv(path: Path, chunks: Iterable[Chunk], start_ns: int) -> int:
    count = 0
    with path.open("w", encoding="ascii", newline="\n") as out:
        out.write(",".join(NAMES) + "\n")
        for chunk in chunks:
            for t_ns, (x, y, z) in zip(chunk.t_ns.tolist(), chunk.acc_10ug.tolist(), strict=True):
                out.write(f"{(t_ns - start_ns) / 1e9:.6f},{x / 1e5:.5f},{y / 1e5:.5f},{z / 1e5:.5f}\n")
            count += len(chunk.t_ns)
    return count


def _write_parquet(path: Path, chunks: Iterable[Chunk], start_ns: int) -> int:
    try:
        import polars as pl  # noqa: PLC0415  # an extra, and slow to import
    except ImportError:
        raise ScenarioError(
            "writing Parquet needs polars: pip install 'posturewatch[data]', or write a .csv file"
        ) from None
    frame = pl.concat(list(_frames(chunks, start_ns)), rechunk=True)
    frame.write_parquet(path, row_group_size=ROW_GROUP, compression="zstd")
    return frame.height


def _frames(chunks: Iterable[Chunk], start_ns: int) -> Iterator[pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # an extra, and slow to import

    for chunk in chunks:
        acc = (chunk.acc_10ug / UNITS_PER_G).astype(np.float32)
        columns = ((chunk.t_ns - start_ns) / 1e9, acc[:, 0], acc[:, 1], acc[:, 2])
        yield pl.DataFrame(dict(zip(NAMES, columns, strict=True)))
