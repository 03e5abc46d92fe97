"""Decode what a sensor sends: hex digits in, samples out."""

from __future__ import annotations

import json
import math
import os
import re
from typing import TYPE_CHECKING

import click

from posturewatch.errors import DecodeError, UsageError

if TYPE_CHECKING:
    from posturewatch.drivers import Family, Packet

_FILLING = re.compile(r"[\s:,_-]|0[xX]")
_MAX_DIGITS = 20_000
_PREFIXES = (2, 3, 4)  # bytes before what an advertisement carries: company or service; type; length


@click.command("decode")
@click.argument("family")
@click.argument("packets", metavar="HEX...", nargs=-1, required=True)
@click.option(
    "--factor", type=click.FloatRange(0, 1e3, min_open=True), help="g per count, where the packet does not say."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a packet instead of a table.")
def command(family: str, packets: tuple[str, ...], factor: float | None, as_json: bool) -> None:
    """Print the samples, time, sequence and battery of each packet HEX of a sensor of FAMILY.

    HEX is what the radio gives: a notification (polar, witmotion, movesense), the manufacturer data after the company
    (ruuvi), or the service data (bthome, kkm, minew).
    """
    if factor is not None and not math.isfinite(factor):
        raise UsageError(f"--factor {factor}: a number of g per count is needed, such as 0.000244")
    found = _find(family)
    for text in packets:
        payload = _parse(text)
        try:
            packet = found.decode(payload, factor)
        except DecodeError as refused:
            error = _with_hint(refused, found, payload)
            if as_json:
                click.echo(json.dumps({"family": found.id, "error": str(error)}, ensure_ascii=False))
            raise error from None
        click.echo(json.dumps(_to_json(found, packet)) if as_json else "\n".join(_to_lines(packet)))


def _find(name: str) -> Family:
    """A family that is built in, else one of the user's files; `UsageError` names the nearest."""
    from posturewatch.drivers import discover  # noqa: PLC0415  keeps `--help` quick

    known = discover()
    if name not in known:
        from posturewatch.config import find_folder  # noqa: PLC0415
        from posturewatch.drivers.preset_files import families  # noqa: PLC0415

        known = families(find_folder(os.environ))
    if name not in known:
        import difflib  # noqa: PLC0415  only a mistake needs it

        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        near = near or [each for each, family in known.items() if name and name.lower() in family.title.lower()]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
        raise UsageError(f"no sensor family {name!r}; {hint}")
    return known[name]


def _with_hint(error: DecodeError, family: Family, payload: bytes) -> DecodeError:
    """Scanners for phones show an advertisement with what stands before the data."""
    if not family.capabilities.is_advertised:
        return error
    for count in _PREFIXES:
        try:
            family.decode(payload[count:])
        except DecodeError:
            continue
        return DecodeError(f"{error}; it is a packet without the first {count} bytes ({payload[:count].hex()})")
    return error


def _parse(text: str) -> bytes:
    digits = _FILLING.sub("", text)
    try:
        if not digits or len(digits) > _MAX_DIGITS:
            raise ValueError(f"{len(digits)} digits")
        return bytes.fromhex(digits)
    except ValueError:
        shown = text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004  characters of a line
        raise UsageError(
            f"{shown!r} is not a packet: an even number of hex digits is needed, at most {_MAX_DIGITS}"
        ) from None


def _to_json(family: Family, packet: Packet) -> dict[str, object]:
    return {
        "family": family.id,
        "samples_g": [[value / 1e5 for value in row] for row in packet.acc_10ug.tolist()],
        "time_ns": packet.device_ns,
        "seq": packet.seq,
        "battery_pct": packet.battery_pct,
        "battery_mv": packet.battery_mv,
        "invalid": packet.invalid,
    }


def _to_lines(packet: Packet) -> list[str]:
    rows = packet.acc_10ug.tolist()
    lines = ["      x_g       y_g       z_g"] if rows else ["no samples"]
    lines += ["".join(f"{value / 1e5:10.5f}" for value in row).removeprefix(" ") for row in rows]
    told = {
        "time": packet.device_ns and f"{packet.device_ns} ns on the sensor's clock, of the last sample",
        "sequence": packet.seq,
        "battery": f"{packet.battery_pct} %" if packet.battery_pct is not None else None,
        "voltage": f"{packet.battery_mv} mV" if packet.battery_mv is not None else None,
        "invalid": f"{packet.invalid} sample(s) left out" if packet.invalid else None,
    }
    return lines + [f"{name}: {value}" for name, value in told.items() if value is not None]
