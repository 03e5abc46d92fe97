"""What a wearer or a dashboard asks for, from words to `Command`: one pure parser for topics and the command line.

`<base>/wearer/<id>/do/<verb>` and `<base>/wearer/<id>/set/<key>`.  The payload is a JSON object, or one plain value:
`10`, `morning`, `ON`.  For verbs that take nothing any word will do, such as the `PRESS` of a button.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from posturewatch.core.reminding.budgets import offset_at
from posturewatch.core.reminding.settable import HIGHEST_RUNG
from posturewatch.errors import CommandError
from posturewatch.types import NS_PER_S, Channel, Command, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 4096
MAX_WORD = 200  # characters of an id or a word
MAX_TOPIC = 256
SHOWN = 40  # characters of what was sent that are repeated in an answer
DAY_S = 86_400
MORNING_MIN = 7 * 60  # local
LATEST_NS = 1 << 62
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS = ("transaction", "cycle", "channel")
FIELDS: dict[Verb, tuple[str, ...]] = {
    Verb.SNOOZE: ("minutes",),
    Verb.HOLD: ("minutes", "until", "reason"),
    Verb.RELEASE: ("reason",),
    Verb.PAUSE: ("minutes", "until"),
    Verb.CALIBRATE: ("sensor",),
    Verb.SET: ("value",),
    Verb.TEST_REMINDER: ("rung",),
}
BUTTONS = tuple(verb for verb in Verb if verb not in FIELDS or verb in (Verb.RELEASE, Verb.TEST_REMINDER))
OPPOSITES = {Verb.HOLD: Verb.RELEASE, Verb.PAUSE: Verb.RESUME}  # what a switch means with OFF
ACTIONS = tuple(verb.value for verb in Verb if verb is not Verb.SET)
_SPAN = re.compile(r"(?:(\d{1,4})\s*h)?\s*(?:(\d{1,5})\s*(?:m|min)?)?", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request was sent: to whom, and `do` or `set` with its word."""

    wearer: str
    kind: str
    word: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A payload that could be read: the fields of its object, or its one plain value."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    plain: str | None = None

    @property
    def transaction(self) -> str | None:
        """The sender's own number of the request; it comes back with the answer."""
        return self.fields.get("transaction")


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Now, and what the wearer's clock on the wall shows then and later."""

    now_ns: int
    utc_offsets: tuple[tuple[int, int], ...] = ((0, 0),)


def read_topic(base: str, topic: str) -> Address | None:
    """The address that a topic is; nothing for other topics."""
    if not topic.startswith(f"{base}/wearer/"):
        return None
    parts = topic[len(base) + len("/wearer/") :].split("/")
    if len(parts) != 3 or parts[1] not in ("do", "set"):  # noqa: PLR2004  id, kind, word
        return None
    return Address(*parts)


def read_payload(payload: bytes) -> Asked:
    """The fields or the plain value of a payload; `CommandError` for what is neither."""
    if len(payload) > MAX_BYTES:
        raise CommandError(f"the payload has {len(payload)} bytes; at most {MAX_BYTES} are read")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise CommandError("the payload is not text in UTF-8") from None
    if not text:
        raise CommandError("the payload is empty: send PRESS, a value, or a JSON object")
    if text[0] not in '{["':
        return Asked(plain=text)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair could not be answered
    except (ValueError, RecursionError) as error:
        raise CommandError(f"not JSON: {str(error)[:SHOWN]}") from None
    if not isinstance(content, dict):
        raise CommandError("send one plain value or one JSON object")
    for name in ("transaction", "cycle"):
        if content.get(name) is not None:
            content[name] = _read_id(name, content[name])
    return Asked(content)


def to_command(address: Address, asked: Asked, local: LocalTime) -> Command:
    """The request as the core takes it; `CommandError` says what is wrong with it and what would be right."""
    verb = _find_verb(address)
    allowed = (*FIELDS.get(verb, ()), *ALWAYS)
    for name in asked.fields:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"{verb} takes {', '.join(allowed)}"
            raise CommandError(f"unknown field {name[:SHOWN]!r}; {hint}")
    fields = dict(asked.fields) if asked.plain is None else _read_plain(verb, asked.plain)
    if fields.pop("off", False):
        verb = OPPOSITES[verb]
    minutes, until_ns = _read_time(fields, local)
    return Command(
        t_ns=local.now_ns,
        verb=verb,
        request=fields.get("transaction"),
        cycle=fields.get("cycle"),
        minutes=minutes,
        until_ns=until_ns,
        reason=_read_text(fields, "reason"),
        key=address.word if verb is Verb.SET else _read_text(fields, "sensor"),
        value=_read_value(fields) if verb is Verb.SET else None,
        rung=_read_rung(fields),
        channel=_read_channel(fields),
    )


def _find_verb(address: Address) -> Verb:
    if address.kind == "set":
        return Verb.SET
    if address.word in ACTIONS:
        return Verb(address.word)
    near = difflib.get_close_matches(address.word, ACTIONS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(ACTIONS)}"
    raise CommandError(f"no such command: {address.word[:SHOWN]!r}; {hint}")


def _read_plain(verb: Verb, plain: str) -> dict[str, Any]:
    """A payload without braces: the one thing that this verb takes, or just somebody pressing a button."""
    word = plain.lower()
    if verb is Verb.SET:
        return {"value": plain}
    if verb in BUTTONS or word in ("press", "on", "true"):
        return {}
    if verb in OPPOSITES and word in ("off", "false"):
        return {"off": True}
    if verb is Verb.CALIBRATE:
        return {"sensor": plain}
    try:
        return {"minutes": float(plain)}
    except ValueError:
        if verb is Verb.SNOOZE:
            raise CommandError(f"snooze takes a number of minutes, not {plain[:SHOWN]!r}") from None
    return {"until": plain}


def _read_time(fields: Mapping[str, Any], local: LocalTime) -> tuple[float | None, int | None]:
    """For how many minutes, or until when."""
    minutes, until = fields.get("minutes"), fields.get("until")
    if minutes is not None and until is not None:
        raise CommandError("minutes and until exclude each other: send one of them")
    if minutes is not None:
        number = _to_float(minutes)
        if number is None or number <= 0.0:
            raise CommandError(f"minutes must be a number above 0, not {str(minutes)[:SHOWN]!r}")
        return number, None
    if until is None:
        return None, None
    if not isinstance(until, str):
        raise CommandError(f"until must be a time as text, not {str(until)[:SHOWN]!r}")
    return None, _find_end_ns(until.strip().lower(), local)


def _to_float(value: object) -> float | None:
    """A finite number that was sent as one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _find_end_ns(text: str, local: LocalTime) -> int:
    """`90min`, `1h30`, `14:30`, `morning`, or ISO 8601 with its zone."""
    if text == "morning":
        return _find_local_ns(MORNING_MIN, local)
    if clock := _CLOCK.fullmatch(text):
        return _find_local_ns(60 * int(clock[1]) + int(clock[2]), local)
    span = _SPAN.fullmatch(text)
    if span and (span[1] or span[2]):
        return local.now_ns + (60 * int(span[1] or 0) + int(span[2] or 0)) * 60 * NS_PER_S
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{text[:SHOWN]!r} is no time: like 45, 1h30, 14:30, morning or 2026-03-02T14:30:00+01:00")
    return min((moment - EPOCH) // timedelta(microseconds=1) * 1000, LATEST_NS)


def _find_local_ns(minute: int, local: LocalTime) -> int:
    """The next moment at which the wearer's clock shows this minute of the day, over changes of summer time, too."""
    now_s = local.now_ns // NS_PER_S
    today = (now_s + offset_at(local.utc_offsets, local.now_ns)[0]) // DAY_S
    at_s = now_s
    for day in range(today, today + 3):
        shown_s = day * DAY_S + minute * 60
        guess_s = shown_s - offset_at(local.utc_offsets, local.now_ns)[0]
        at_s = shown_s - offset_at(local.utc_offsets, guess_s * NS_PER_S)[0]
        if at_s > now_s:
            break
    return at_s * NS_PER_S


def _read_value(fields: Mapping[str, Any]) -> float | str | bool:
    value = fields.get("value")
    if not isinstance(value, str | int | float):
        raise CommandError("set takes one plain value, or a JSON object with `value`")
    if isinstance(value, str):
        return value[:MAX_WORD]
    number = _to_float(value)
    return value if isinstance(value, bool) or number is None else number


def _read_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise CommandError(f"{name} must be a text, not {str(value)[:SHOWN]!r}")
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:80]


def _read_rung(fields: Mapping[str, Any]) -> int | None:
    rung = fields.get("rung")
    if rung is not None and (isinstance(rung, bool) or not isinstance(rung, int) or not 0 <= rung <= HIGHEST_RUNG):
        raise CommandError(f"rung must be a whole number from 0 to {HIGHEST_RUNG}, not {str(rung)[:SHOWN]!r}")
    return rung


def _read_channel(fields: Mapping[str, Any]) -> Channel | None:
    channel = fields.get("channel")
    if channel is None:
        return None
    if not isinstance(channel, str) or channel not in list(Channel):
        raise CommandError(f"channel must be one of {', '.join(Channel)}, not {str(channel)[:SHOWN]!r}")
    return Channel(channel)


def _read_id(name: str, value: object) -> str:
    """A sender's own id: text or a whole number, of bounded length."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= MAX_WORD:
        raise CommandError(f"{name} must be a text or a whole number of at most {MAX_WORD} characters")
    return str(value)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def find_reply_topic(base: str, response_topic: str | None) -> str | None:
    """Where the sender wants its answer; nothing if it names no topic, or one that is not for answers.

    Our own topics would let a sender speak in our name or in a circle, `$` topics belong to the broker.
    """
    topic = response_topic or ""
    is_ours = topic == base or topic.startswith(f"{base}/")
    is_usual = re.fullmatch(rf"{re.escape(base)}/(?:wearer/[a-z0-9_-]{{1,32}}|bridge)/result(?:/[\w-]{{1,64}})?", topic)
    fits = 0 < len(topic) <= MAX_TOPIC and topic.isprintable() and not set(topic) & set("+#") and topic[0] != "$"
    return topic if fits and (is_usual or not is_ours) else None
