"""How the keys of a preset fit together, and the preset that they make."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from posturewatch.drivers import Capabilities, Silence
from posturewatch.drivers.described import Preset, SetUp
from posturewatch.drivers.described_layout import SIZES, Layout, Number, Scale
from posturewatch.drivers.described_match import Match
from posturewatch.drivers.described_text import TextLayout
from posturewatch.drivers.units import G_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posturewatch.drivers.preset_model import LayoutKeys, PresetKeys, SetUpKeys

    Problem = tuple[tuple[str | int, ...], str]

ADVERTISED = ("manufacturer", "service_data")
_CONNECTED_ONLY = ("service", "char", "split", "on_start", "on_stop", "poll_s")
_PACKET_ONLY = ("header", "mask", "length", "endian", "type", "offset", "stride", "repeat", "invalid", "seq", "time",
                "identity", "layout", "split")  # fmt: skip
_TEXT_ONLY = ("separator", "max_line")
_NS_PER_TICK = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_AXES = {"x": 0, "y": 1, "z": 2}
_MANY = 1 << 16
_BATTERY_EVERY_S, _HOLD_POLL_S = 600.0, 15.0
_LEAST_READ_S = 0.5  # a sensor that is read is looked after so often: faster reads would be samples made up
_USUAL_RATE_HZ = {"notify": 10.0, "text": 10.0, "manufacturer": 0.5, "service_data": 0.5}


def merge_layouts(keys: PresetKeys) -> list[tuple[tuple[str | int, ...], LayoutKeys]]:
    """Each layout with its path: the preset's own keys are the defaults of those in `layout`."""
    if not keys.layout:
        return [((), keys)]
    return [
        (("layout", at), keys.model_copy(update={name: getattr(entry, name) for name in entry.model_fields_set}))
        for at, entry in enumerate(keys.layout)
    ]


def find_problems(keys: PresetKeys) -> Iterator[Problem]:
    """Each mistake with the path of its key."""
    given = keys.model_fields_set
    if keys.kind in ADVERTISED:
        yield from (
            ((name,), f"not for kind {keys.kind!r}: there is no connection")
            for name in _CONNECTED_ONLY
            if name in given
        )
        needed = "company" if keys.kind == "manufacturer" else "service_data_uuid"
        if getattr(keys.match, needed) is None:
            yield ("match",), f"kind {keys.kind!r} needs match.{needed}"
        if keys.silence not in (None, "sparse"):
            yield ("silence",), f"advertisements are never {keys.silence!r}: leave it out"
    else:
        if (keys.char is None) == (keys.split is None):
            yield ("char",), "exactly one of `char` and `split` is needed"
        if keys.silence == "sparse":
            yield ("silence",), "only advertisements are 'sparse'; allowed are 'fault' and 'hold'"
        if keys.kind == "read":
            yield from _find_read_problems(keys)
    if keys.kind == "text":
        yield from (
            ((name,), "not for kind 'text': a line has no bytes to count") for name in _PACKET_ONLY if name in given
        )
    else:
        yield from (((name,), "only for kind 'text'") for name in _TEXT_ONLY if name in given)
    for path, layout in merge_layouts(keys):
        yield from ((_nearest(path, keys, key), why) for key, why in _find_layout_problems(keys, layout))


def _find_read_problems(keys: PresetKeys) -> Iterator[Problem]:
    if keys.poll_s is None:
        yield ("poll_s",), "kind 'read' needs it: the seconds between two reads"
    elif keys.poll_s < _LEAST_READ_S:
        yield ("poll_s",), f"kind 'read' reads every {_LEAST_READ_S:g} s at most: take 'notify' for faster sensors"
    if keys.silence == "fault":
        yield ("silence",), "a sensor that is read is never silent: leave it out"


def _nearest(path: tuple[str | int, ...], keys: PresetKeys, key: str) -> tuple[str | int, ...]:
    """Where a key of a layout stands: in the layout itself, or among the defaults."""
    is_own = bool(path) and key in keys.layout[int(path[1])].model_fields_set
    return (*path, key) if is_own or (path and key not in keys.model_fields_set) else (key,)


def _find_layout_problems(keys: PresetKeys, layout: LayoutKeys) -> Iterator[tuple[str, str]]:
    if layout.unit is None:
        yield "unit", "this key is required: 'g', 'mg' or 'm/s2'"
    if layout.scale == 0.0:
        yield "scale", "zero would make every sample zero"
    if layout.order is not None and {axis.lstrip("-") for axis in layout.order} != set(_AXES):
        yield "order", "each of x, y and z once is needed"
    yield from _find_battery_problems(keys, layout)
    if keys.kind == "text":
        return
    if layout.type is None:
        yield "type", "this key is required: i8 i16 i24 i32 u16 f32 or f64"
        return
    if layout.mask is not None and len(layout.mask) != len(layout.header or b""):
        yield "mask", "it must be as long as the header"
    if layout.length is not None and layout.length[1] > keys.max_packet:
        yield "length", f"max_packet allows {keys.max_packet} bytes"
    if layout.stride is not None and layout.stride < 3 * SIZES[layout.type]:
        yield "stride", f"samples would overlap: three {layout.type} have {3 * SIZES[layout.type]} bytes"
        return
    if keys.split is None:
        yield from _find_overlaps(keys, layout)


def _find_battery_problems(keys: PresetKeys, layout: LayoutKeys) -> Iterator[tuple[str, str]]:
    battery = layout.battery
    if battery is None:
        return
    in_packet = (battery.offset, battery.type, battery.unit)
    if battery.source is not None:
        if any(part is not None for part in in_packet):
            yield "battery", "either `source` or `offset`, `type` and `unit`"
        if keys.kind in ADVERTISED:
            yield "battery", f"`source` is not for kind {keys.kind!r}: there is no connection"
    elif None in in_packet:
        yield "battery", "`offset`, `type` and `unit` are needed, or `source`"
    elif keys.kind == "text" or keys.split is not None:
        yield "battery", "only `source` is possible here"


def _find_overlaps(keys: PresetKeys, layout: LayoutKeys) -> Iterator[tuple[str, str]]:
    """No byte may mean two things, and none may lie behind the end of the packet."""
    spans = sorted(_spans(layout))
    end = 0
    for before, after in pairwise(spans):
        end = max(end, before[1])
        if after[0] < end:
            yield max(before[2], after[2], key=_rank), f"`{before[2]}` and `{after[2]}` overlap at byte {after[0]}"
    shortest = (
        layout.length if isinstance(layout.length, int) else layout.length[0] if layout.length else keys.max_packet
    )
    least = [(stop, name) for _, stop, name in spans if stop < _MANY]
    if not layout.repeat and layout.type is not None:
        least.append((layout.offset + 3 * SIZES[layout.type], "offset"))
    stop, name = max(least)
    if stop > shortest:
        yield name, f"it ends at byte {stop}, the packet may end at byte {shortest}"


def _rank(name: str) -> int:
    """Which of two keys that overlap is told: rather the one that was added."""
    return ("header", "offset", "identity", "battery", "time", "seq").index(name)


def _spans(layout: LayoutKeys) -> Iterator[tuple[int, int, str]]:
    """Start and end of everything in a packet, with the key that says so."""
    if layout.header:
        yield 0, len(layout.header), "header"
    if layout.type is not None:
        sample = 3 * SIZES[layout.type]
        stride = layout.stride or sample
        if not layout.repeat:
            yield layout.offset, _MANY, "offset"
        else:
            for at in range(layout.repeat):
                yield layout.offset + at * stride, layout.offset + at * stride + sample, "offset"
    for name in ("seq", "time", "battery"):
        field = getattr(layout, name)
        if field is not None and field.offset is not None and field.type is not None:
            yield field.offset, field.offset + SIZES[field.type], name
    if layout.identity is not None:
        yield layout.identity.offset, layout.identity.offset + layout.identity.length, "identity"


def to_preset(name: str, keys: PresetKeys) -> Preset:
    """The preset of keys without problems."""
    layouts = [layout for _, layout in merge_layouts(keys)]
    first = layouts[0]
    is_text = keys.kind == "text"
    return Preset(
        id=name,
        title=keys.title or name,
        kind=keys.kind,
        match=Match(**keys.match.model_dump()),
        capabilities=_to_capabilities(keys),
        layouts=() if is_text else tuple(_to_layout(layout, keys.max_packet) for layout in layouts),
        text=TextLayout(_to_scale(first), keys.separator or ",", _to_order(first), keys.max_line) if is_text else None,
        service=keys.service,
        char=keys.char,
        split=(keys.split.x, keys.split.y, keys.split.z) if keys.split else None,
        scalar=_to_scalar(first) if keys.split else None,
        scale=_to_scale(first) if keys.split else None,
        on_start=tuple(_to_set_up(step, keys.service) for step in keys.on_start),
        on_stop=tuple(_to_set_up(step, keys.service) for step in keys.on_stop),
        has_battery=keys.battery is not None and keys.battery.source is not None,
        max_packet=keys.max_packet,
    )


def _to_capabilities(keys: PresetKeys) -> Capabilities:
    is_advertised = keys.kind in ADVERTISED
    rate_hz = keys.rate_hz or (1.0 / keys.poll_s if keys.kind == "read" and keys.poll_s else _USUAL_RATE_HZ[keys.kind])
    usual = Silence.SPARSE if is_advertised else Silence.HOLD if keys.kind == "read" else Silence.FAULT
    silence = usual if keys.silence is None else Silence(keys.silence)
    is_battery_read = keys.battery is not None and keys.battery.source is not None
    read_every_s = keys.poll_s
    if read_every_s is None and silence is Silence.HOLD:
        read_every_s = _HOLD_POLL_S
    elif read_every_s is None and is_battery_read:
        read_every_s = _BATTERY_EVERY_S
    return Capabilities(
        is_advertised=is_advertised,
        rate_hz=rate_hz,
        range_g=keys.range_g,
        step_mg=keys.step_mg,
        silence=silence,
        expected_every_s=1.0 / rate_hz,
        read_every_s=read_every_s,
        is_exclusive=not is_advertised,
    )


def _to_scale(layout: LayoutKeys) -> Scale:
    unit_g = layout.sign * G_PER_UNIT[layout.unit or "g"]
    return Scale(layout.scale * unit_g, layout.bias * unit_g)


def _to_order(layout: LayoutKeys) -> tuple[tuple[int, int], ...]:
    return tuple((_AXES[axis[-1]], -1 if axis.startswith("-") else 1) for axis in layout.order or ("x", "y", "z"))


def _to_scalar(layout: LayoutKeys) -> Number:
    return Number(layout.type or "i16", layout.offset, layout.endian, frozenset(layout.invalid))


def _to_layout(layout: LayoutKeys, max_packet: int) -> Layout:
    type_ = layout.type or "i16"
    seq, time, battery = layout.seq, layout.time, layout.battery
    return Layout(
        type=type_,
        scale=_to_scale(layout),
        offset=layout.offset,
        endian=layout.endian,
        stride=layout.stride or 3 * SIZES[type_],
        repeat=layout.repeat or None,
        order=_to_order(layout),
        invalid=frozenset(layout.invalid),
        header=layout.header or b"",
        mask=layout.mask or b"",
        length=layout.length or (1, max_packet),
        seq=None if seq is None else _to_number(layout, seq.type, seq.offset, seq.invalid),
        seq_modulus=0 if seq is None else _find_modulus(seq.type, seq.invalid),
        time=None if time is None else _to_number(layout, time.type, time.offset, None),
        ns_per_tick=1 if time is None else _NS_PER_TICK[time.unit],
        is_time_of_first=time is not None and time.of == "first",
        battery=None
        if battery is None or battery.type is None
        else _to_number(layout, battery.type, battery.offset or 0, battery.invalid),
        is_battery_mv=battery is not None and battery.unit == "mV",
        identity=None if layout.identity is None else (layout.identity.offset, layout.identity.length),
    )


def _to_number(layout: LayoutKeys, type_: str, offset: int, invalid: int | None) -> Number:
    return Number(type_, offset, layout.endian, frozenset() if invalid is None else frozenset({invalid}))


def _find_modulus(type_: str, invalid: int | None) -> int:
    """A counter wraps at its type's end, or before its mark for "not known", where that is the highest number."""
    full = 1 << (8 * SIZES[type_])
    return full - 1 if invalid == full - 1 else full


def _to_set_up(step: SetUpKeys, service: str | None) -> SetUp:
    return SetUp(
        service=step.service or service,
        char=step.char,
        data=step.hex,
        response=step.response,
        expect=step.expect,
        is_read_back=step.readback is not False,
        is_period_ms=step.readback == "period_ms",
        is_restored=step.restore,
    )
