"""From events and states to MQTT messages: payloads, quality, retain and expiry (contract version 1).

Pure: nothing here reads a clock or waits.  `python -m posturewatch.publishing.messages docs/schemas` writes the JSON
Schemas.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from posturewatch.publishing import payloads
from posturewatch.publishing.payloads import asyncapi, json_schemas, schema_name
from posturewatch.publishing.responses import ALL
from posturewatch.publishing.texts import ENGLISH, Texts, prompt_text
from posturewatch.publishing.topics import Topics
from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    Channel,
    CommandResult,
    Happened,
    Message,
    Prompt,
    SedentaryEnded,
    StaticEnded,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from posturewatch.core.body import Body
    from posturewatch.publishing.responses import Count, Responses
    from posturewatch.status.health import SensorHealth
    from posturewatch.types import Event, Level, ReminderPhase

__all__ = ["ReminderView", "Topics", "asyncapi", "for_event", "json_schemas", "wearer_state"]

ONLINE, OFFLINE = b"online", b"offline"
STATE_EXPIRY_S = 3600  # a stopped daemon leaves no trace of anybody's day
REMINDER_EXPIRY_S = 600
EVENT_EXPIRY_S = 600
RESULT_EXPIRY_S = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReminderView(Protocol):
    """What the messages read of a reminder machine."""

    @property
    def phase(self) -> ReminderPhase:
        """Which state of its life cycle the reminder is in."""

    @property
    def cycle(self) -> str | None:
        """Names the reminder under way."""

    @property
    def level(self) -> Level | None:
        """Shift or break."""

    @property
    def reason(self) -> str | None:
        """Why, in a few words."""

    @property
    def due(self) -> bool:
        """Whether the wearer is asked for something now."""

    @property
    def load_frac(self) -> float:
        """The fullest clock; 1.0 is the soft limit."""

    @property
    def next_break_ns(self) -> int | None:
        """When the next break is due if nothing moves."""

    @property
    def prompts_left_today(self) -> int:
        """Of the daily budget."""

    @property
    def snoozes_left(self) -> int:
        """In this cycle."""

    @property
    def hold_reason(self) -> str | None:
        """Why prompts are held."""

    @property
    def hold_until_ns(self) -> int | None:
        """When the hold ends by itself."""

    @property
    def on_hold(self) -> bool:
        """Whether somebody asked to hold prompts."""

    @property
    def paused(self) -> bool:
        """Whether somebody paused the reminders."""

    @property
    def breaks_today(self) -> int:
        """Real breaks since local midnight."""

    @property
    def decision(self) -> str:
        """The last decision, to speak or to be silent, in words."""

    @property
    def decision_ns(self) -> int:
        """When that was."""


def iso(t_ns: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = EPOCH + timedelta(milliseconds=t_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(t_ns: int | None) -> str | None:
    """ISO 8601, or nothing for a moment that never was (0 or None)."""
    return iso(t_ns) if t_ns else None


def percent(frac: float | None) -> int | None:
    """Whole percent; nothing that is not a finite number gets out."""
    return None if frac is None or not math.isfinite(frac) else max(0, round(100 * frac))


def rounded(value: float | None) -> float | None:
    """One decimal, finite or nothing."""
    return None if value is None or not math.isfinite(value) else round(float(value), 1)


def seconds(value: float) -> int | None:
    """Whole seconds, finite or nothing."""
    return max(0, int(value)) if math.isfinite(value) else None


def bridge_state(topics: Topics, online: bool) -> Message:
    """Whether the daemon is there; offline is also the last will.  A plain word, for ever."""
    return _word(topics.bridge("state"), online)


def availability(topics: Topics, wearer: str, online: bool) -> Message:
    """Whether data of this wearer is flowing.  A plain word, for ever."""
    return _word(topics.wearer(wearer, "availability"), online)


def bridge_info(  # noqa: PLR0913  # one parameter per fact the message tells
    topics: Topics,
    *,
    version: str,
    instance: str,
    started_ns: int,
    source: str = "mqtt",
    simulated: bool = False,
    wearers: Iterable[tuple[str, str | None, str | None]] = (),
) -> Message:
    """Which daemon this is; `wearers` as (id, name, model), only if their owner wants them told."""
    payload = payloads.BridgeInfo(
        contract=payloads.CONTRACT,
        version=version,
        instance=instance,
        started=iso(started_ns),
        source=source,
        simulated=simulated,
        pairing=False,
        wearers=[payloads.WearerInfo(id=i, name=name, model=model) for i, name, model in wearers],
    )
    return _retained(topics.bridge("info"), payload, "bridge-info")


def bridge_health(topics: Topics, figures: Mapping[str, int], now_ns: int) -> Message:
    """How the daemon does; retained for an hour."""
    payload = payloads.BridgeHealth.model_validate({**figures, "time": iso(now_ns)})
    return _retained(topics.bridge("health"), payload, "bridge-health", STATE_EXPIRY_S)


def sensor_health(topics: Topics, health: SensorHealth, now_ns: int) -> Message:
    """How a sensor does; retained for an hour."""
    payload = payloads.SensorHealth.model_validate({**sensor_status(health), "time": iso(now_ns)})
    return _retained(topics.health(health.sensor), payload, "sensor-health", STATE_EXPIRY_S)


def sensor_status(health: SensorHealth) -> dict[str, object]:
    """The same as plain values, without the moment."""
    return {**health.figures(), "heard": iso_or_none(health.heard_ns)}


def simulated_truth(topics: Topics, sensor: str, told: Mapping[str, Any], start_ns: int) -> Message:
    """One event of the truth that a simulation tells; it began at `start_ns`."""
    begins_s = told["t_s"] if "t_s" in told else told["start_s"]
    maybe = dict.fromkeys(name for name in payloads.Truth.model_fields if name not in ("simulated", "time"))
    flags = dict.fromkeys(("optional", "carried", "asleep"), False)
    moment = iso(start_ns + round(begins_s * NS_PER_S))
    exact = {name: round(value, 3) if isinstance(value, float) else value for name, value in told.items()}
    payload = payloads.Truth.model_validate({**maybe, **flags, **exact, "simulated": True, "time": moment})
    return _passing(topics.truth(sensor), payload, "truth", EVENT_EXPIRY_S)


def bridge_event(topics: Topics, kind: str, t_ns: int, detail: Mapping[str, float | str | bool]) -> Message:
    """Something that happened to the daemon, such as messages lost while the broker was away."""
    payload = payloads.BridgeEvent(type=kind, detail=dict(detail), time=iso(t_ns))
    return _passing(topics.bridge("event"), payload, "bridge-event", EVENT_EXPIRY_S)


def wearer_state(  # noqa: PLR0913  # one parameter per source of the state
    topics: Topics,
    wearer: str,
    body: Body,
    reminder: ReminderView,
    *,
    simulated: bool,
    now_ns: int,
    battery_pct: float | None = None,
    shifts_per_h: float | None = None,
    responses: Responses | None = None,
) -> Message:
    """How it stands with one wearer: all keys always, `null` for unknown; retained for an hour."""
    week = {} if responses is None else responses.week()
    payload = payloads.WearerState(
        reminder=reminder.phase,
        cycle=reminder.cycle,
        reason=reminder.reason,
        level=reminder.level,
        due=reminder.due,
        wear=body.wear,
        motion=body.motion,
        posture=body.posture,
        inclination_deg=rounded(body.inclination_deg),
        static_s=seconds(body.static_s),
        sedentary_s=seconds(body.sedentary_s),
        hold_dose_pct=percent(body.hold_dose_frac),
        load_pct=percent(reminder.load_frac),
        next_break=iso_or_none(reminder.next_break_ns),
        last_break=iso_or_none(body.last_break_ns),
        shifts_per_h=rounded(shifts_per_h),
        breaks_today=reminder.breaks_today,
        prompts_left_today=max(0, reminder.prompts_left_today),
        snoozes_left=max(0, reminder.snoozes_left),
        hold_reason=reminder.hold_reason,
        hold_until=iso_or_none(reminder.hold_until_ns),
        on_hold=reminder.on_hold,
        paused=reminder.paused,
        break_progress_pct=min(100, percent(body.break_progress_frac) or 0),
        decision=reminder.decision or None,
        decided=iso_or_none(reminder.decision_ns),
        response_rate_pct=week[ALL].rate_pct if ALL in week else None,
        responses={Channel(name): payloads.ChannelResponses(**told) for name, told in told_by_channel(week).items()},
        battery_pct=None if battery_pct is None else max(0, min(100, round(battery_pct))),
        simulated=simulated,
        time=iso(now_ns),
    )
    return _retained(topics.wearer(wearer, "state"), payload, "state", STATE_EXPIRY_S)


def told_by_channel(week: Mapping[str, Count]) -> dict[str, dict[str, int]]:
    """Plain values for each channel that showed reminders."""
    return {name: {**count._asdict(), "rate_pct": count.rate_pct or 0} for name, count in week.items() if name != ALL}


def wearer_settings(topics: Topics, wearer: str, values: Mapping[str, float | str | bool]) -> Message:
    """What can be set, as it stands; retained."""
    payload = payloads.WearerSettings.model_validate(values)
    return _retained(topics.wearer(wearer, "settings"), payload, "settings")


def for_event(
    topics: Topics, wearer: str, event: Event, *, simulated: bool = False, texts: Texts = ENGLISH
) -> list[Message]:
    """What an event has to say to the world; most have nothing, the state tells them."""
    match event:
        case Prompt():
            return [_reminder(topics, wearer, event, simulated, texts)]
        case Happened():
            payload = payloads.WearerEvent(
                event_type=event.event_type,
                cycle=event.cycle,
                detail=_finite(event.detail),
                simulated=simulated,
                time=iso(event.t_ns),
            )
            return [_passing(topics.wearer(wearer, "event"), payload, "event", EVENT_EXPIRY_S)]
        case StaticEnded() | SedentaryEnded() | BreakEnded():
            return [_bout(topics, wearer, event, simulated)]
        case CommandResult():
            return [result(topics.wearer(wearer, "result"), event)]
        case _:
            return []


def prompt_key(wearer: str) -> str:
    """The outbox slot of a wearer's prompt: discard it when the prompt is withdrawn before it went out."""
    return f"prompt/{wearer}"


def _reminder(topics: Topics, wearer: str, prompt: Prompt, simulated: bool, texts: Texts) -> Message:
    expires_ns = min(prompt.expires_ns, prompt.t_ns + REMINDER_EXPIRY_S * NS_PER_S)
    payload = payloads.Reminder.model_validate(
        {
            "event_type": prompt.event_type,
            "id": prompt.id,
            "cycle": prompt.cycle,
            "level": prompt.level,
            "rung": prompt.rung,
            "repeat": prompt.repeat,
            "test": prompt.test,
            "message": prompt_text(prompt.event_type, prompt.id, prompt.reason, test=prompt.test, texts=texts),
            "reason": _finite(prompt.reason),
            "expires": iso(expires_ns),
            "simulated": simulated,
            "time": iso(prompt.t_ns),
        }
    )
    return Message(
        topic=topics.wearer(wearer, "reminder"),
        payload=_json(payload),
        key=prompt_key(wearer),
        expires_ns=expires_ns,
        expiry_s=max(1, (expires_ns - prompt.t_ns) // NS_PER_S),
        schema=schema_name("reminder"),
    )


def _bout(topics: Topics, wearer: str, event: StaticEnded | SedentaryEnded | BreakEnded, simulated: bool) -> Message:
    static = event if isinstance(event, StaticEnded) else None
    payload = payloads.Bout(
        kind="static" if static else "sedentary" if isinstance(event, SedentaryEnded) else "break",
        break_kind=event.kind if isinstance(event, BreakEnded) else None,
        start=iso(event.start_ns),
        end=iso(event.end_ns),
        duration_s=max(0, (event.end_ns - event.start_ns) // NS_PER_S),
        closed_by=None if isinstance(event, BreakEnded) else event.closed_by,
        inclination_deg=rounded(static.inclination_deg) if static else None,
        drift_deg=rounded(static.drift_deg) if static else None,
        fidgets=static.fidgets if static else None,
        simulated=simulated,
        time=iso(event.t_ns),
    )
    return _passing(topics.wearer(wearer, "bout"), payload, "bout", EVENT_EXPIRY_S)


def result(topic: str, answer: CommandResult, correlation: bytes | None = None) -> Message:
    """The answer to a command, where its sender will hear it."""
    return Message(
        topic=topic,
        payload=_json(_result(answer)),
        expires_ns=answer.t_ns + RESULT_EXPIRY_S * NS_PER_S,
        expiry_s=RESULT_EXPIRY_S,
        schema=schema_name("result"),
        correlation=correlation,
    )


def result_content(answer: CommandResult) -> dict[str, object]:
    """The same as plain values, for who asked without a broker."""
    return _result(answer).model_dump()


def _result(answer: CommandResult) -> payloads.Result:
    return payloads.Result(
        ok=answer.ok,
        action=answer.verb,
        key=answer.key,
        value=answer.value if not isinstance(answer.value, float) or math.isfinite(answer.value) else None,
        error=answer.error,
        transaction=answer.request,
        time=iso(answer.t_ns),
    )


def _word(topic: str, online: bool) -> Message:
    return Message(topic=topic, payload=ONLINE if online else OFFLINE, retain=True, key=topic)


def _retained(topic: str, payload: payloads.Payload, schema: str, expiry_s: int | None = None) -> Message:
    return Message(
        topic=topic, payload=_json(payload), retain=True, key=topic, expiry_s=expiry_s, schema=schema_name(schema)
    )


def _passing(topic: str, payload: payloads.Payload, schema: str, expiry_s: int) -> Message:
    return Message(topic=topic, payload=_json(payload), expiry_s=expiry_s, schema=schema_name(schema))


def _json(payload: payloads.Payload) -> bytes:
    return payload.model_dump_json().encode()


def _finite(detail: Mapping[str, float | str | bool]) -> dict[str, float | str | bool]:
    """Without the numbers that JSON cannot say, and moments as ISO 8601."""
    finite = {k: v for k, v in detail.items() if not isinstance(v, float) or math.isfinite(v)}
    return {k.removesuffix("_ns"): iso(int(v)) if k.endswith("_ns") else v for k, v in finite.items()}


def write_schemas(folder: Path) -> None:
    """Write the JSON Schemas and the AsyncAPI document that go with this version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in (*json_schemas().items(), ("asyncapi", asyncapi())):
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import sys
    from pathlib import Path

    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
