"""One wearer, live: what comes goes through the pipeline, what follows goes to the outbox."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from posturewatch.calibrating.capturing import PATIENCE_NS
from posturewatch.calibrating.uprights import Slipped, Uprights
from posturewatch.core import pipeline
from posturewatch.core.reminding import values_in_force
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.core.state import State, initial
from posturewatch.errors import CommandError, SnapshotError
from posturewatch.publishing import messages
from posturewatch.publishing.messages import for_event, prompt_key, wearer_state
from posturewatch.publishing.notices import Notices
from posturewatch.publishing.pacing import ShiftRate, StateThrottle
from posturewatch.publishing.responses import Responses
from posturewatch.status.explaining import explain_state
from posturewatch.status.health import lowest_battery_pct
from posturewatch.types import (
    NS_PER_S,
    CommandResult,
    Happened,
    Link,
    Motion,
    RawSamples,
    SampleBatch,
    Tick,
    Verb,
    Wear,
    Withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posturewatch.calibrating.capturing import Capture
    from posturewatch.core.settings import Calibration, Settings
    from posturewatch.publishing.responses import LocalChannels
    from posturewatch.publishing.topics import Topics
    from posturewatch.sinks.outbox import Outbox, Outlets
    from posturewatch.status.health import SensorHealth
    from posturewatch.types import Command, Event, Incoming, Message

log = logging.getLogger(__name__)

MOST_WAITING = 50
LEAST_RATE_HZ = 0.01
FLOWING_NS = 5 * NS_PER_S // 2  # samples that close a second this often need no ticks


class Watch:
    """Holds the state of one wearer; nothing here waits."""

    def __init__(  # noqa: PLR0913  # one parameter for each part it stands between
        self,
        settings: Settings,
        topics: Topics,
        outbox: Outbox | Outlets,
        *,
        simulated: bool,
        saved: dict[str, Any] | None = None,
        channels: LocalChannels | None = None,
    ) -> None:
        """Goes on from `saved`, which `dump` made; `SnapshotError` if it does not fit this program."""
        self.settings = settings
        self.simulated = simulated
        self.state, self.is_changed = _restore(saved, settings), False
        self._topics = topics
        self._outbox = outbox
        self._notices = Notices(None if saved is None else saved.get("notices"))
        self._responses = Responses(channels, None if saved is None else saved.get("responses"))
        self._throttle = StateThrottle()
        self._rate = ShiftRate()
        self._shifts_per_h: float | None = None
        self._seen_ns = -1
        self._waiting: list[Incoming] = []
        self._expected_ns: dict[str, int] = {}  # of the last sample that waits, by sensor
        self._online: bool | None = None
        self._capture: Capture | None = None
        self._uprights = Uprights(None if saved is None else saved.get("uprights"))
        self.on_upright: Callable[[str, Calibration], None] | None = None  # keeps what walking says of upright
        self.battery_pct: int | None = None  # the emptiest of the sensors, where they tell

    @property
    def wearer(self) -> str:
        """The wearer's id."""
        return self.settings.wearer

    @property
    def online(self) -> bool:
        """Whether data of this wearer is flowing; a short gap counts as flowing."""
        return self.state.body.link is not Link.LOST

    def is_off_body(self, sensor: str) -> bool:
        """Whether this sensor, by its id, lies somewhere; of another's nothing is known."""
        pairs = zip(self.settings.sensors, self.state.sensors, strict=True)
        return any(about.id == sensor and state.wear.wear is Wear.OFF_BODY for about, state in pairs)

    def take(self, incoming: Incoming) -> None:
        """One thing that came.  Samples that cannot close a second wait for those that do: that halves the work."""
        self._waiting.append(incoming)
        if self._capture is not None and isinstance(incoming, RawSamples | SampleBatch):
            self._go_on_capturing(self._capture, incoming)
        if self.state.body.motion is Motion.WALKING and isinstance(incoming, RawSamples | SampleBatch):
            self._look_for_upright(incoming)
        if (
            not isinstance(incoming, RawSamples)
            or self._closes_a_second(incoming)
            or len(self._waiting) >= MOST_WAITING
        ):
            self.work()

    def ask(self, command: Command) -> CommandResult:
        """Carry out a request at once; the answer is the caller's to tell."""
        self._waiting.append(command)
        answer = next(event for event in self._advance() if isinstance(event, CommandResult))
        if command.verb is Verb.SET and answer.ok:
            self._outbox.put(self._settings_message())
        return answer

    def capture(self, capture: Capture) -> None:
        """Let a pose be captured from the samples that come; one at a time."""
        if self._capture is not None:
            raise CommandError("a calibration is going on already: wait for its end")
        self._capture = capture

    def _go_on_capturing(self, capture: Capture, incoming: RawSamples | SampleBatch) -> None:
        if capture.take(incoming):
            self._capture = None
            capture.conclude()

    def _look_for_upright(self, incoming: RawSamples | SampleBatch) -> None:
        """What walking says of a sensor's mounting: used where nothing better is known, else told once."""
        if self.on_upright is None:
            return
        found = self._uprights.take(incoming, self.settings.sensors)
        if isinstance(found, Slipped):
            detail: dict[str, float | str | bool] = {"sensor": found.sensor, "off_deg": round(found.off_deg, 1)}
            self._tell(Happened(self.state.body.now_ns, "sensor_slipped", None, detail))
        elif found is not None:
            try:
                self.on_upright(found.sensor, found.calibration)
            except CommandError as refusal:
                log.warning("sensor %s: upright from walking: %s", found.sensor, refusal)
                return
            detail = {"sensor": found.sensor, "grade": found.calibration.grade}
            self._tell(Happened(self.state.body.now_ns, "calibrated", None, detail))

    def note(self, happened: Happened) -> None:
        """Something for the logbook that did not come out of the samples."""
        self._tell(happened)

    def work(self) -> None:
        """Use everything that waits."""
        if self._waiting:
            self._advance()

    def _advance(self) -> list[Event]:
        self.state, events = pipeline.advance_all(self.state, self._waiting, self.settings)
        self._waiting = []
        self._expected_ns.clear()
        self.is_changed = True
        for event in events:
            self._tell(event)
        now_ns = self.state.body.now_ns
        if events or now_ns != self._seen_ns:
            self._seen_ns = now_ns
            self._tell_state(now_ns)
        return events

    def tick(self, now_ns: int) -> None:
        """Let time pass, unless the samples do."""
        if self._capture is not None and not 0 <= self._capture.until_ns - now_ns <= PATIENCE_NS:
            ended, self._capture = self._capture, None
            ended.conclude()
        behind_ns = now_ns - self.state.body.now_ns
        if len(self.settings.sensors) > 1 or not 0 <= behind_ns < FLOWING_NS:
            self.take(Tick(now_ns))

    def change(self, settings: Settings) -> None:
        """Go on with other settings, from the next second; the sensors stay the same ones."""
        self.settings = settings
        self._outbox.put(self._settings_message())

    def follow_battery(self, sensors: Mapping[str, SensorHealth]) -> None:
        """Show the emptiest of this wearer's sensors."""
        self.battery_pct = lowest_battery_pct(sensors, [sensor.id for sensor in self.settings.sensors])

    def announce(self, now_ns: int) -> list[Message]:
        """All that a broker should keep of this wearer."""
        return [
            messages.availability(self._topics, self.wearer, self.online),
            self._settings_message(),
            self._state_message(now_ns),
        ]

    def dump(self) -> dict[str, Any]:
        """What the snapshot holds.  `state` is never changed in place, so any thread may do this."""
        self.is_changed = False
        return {
            "sensors": _name_sensors(self.settings),
            "simulated": self.simulated,
            "notices": self._notices.dump(),
            "responses": self._responses.dump(),
            "uprights": self._uprights.dump(),
            "core": dump_state(self.state),
        }

    def status(self, now_ns: int) -> dict[str, Any]:
        """What a person may want to see now: the published state, and the last decision."""
        content: dict[str, Any] = json.loads(self._state_message(now_ns).payload)
        return {"wearer": self.wearer, "online": self.online, **content}

    def why(self) -> dict[str, Any]:
        """The last decision, to speak or to be silent, with its moment."""
        return explain_state(self.wearer, self.state.reminding, self._responses)

    def _closes_a_second(self, raw: RawSamples) -> bool:
        """Whether the last sample lies beyond the open second, as far as can be told before its time is known."""
        at = next((i for i, sensor in enumerate(self.settings.sensors) if sensor.id == raw.sensor), None)
        if at is None:
            return True
        sensor = self.state.sensors[at]
        before_ns = self._expected_ns.get(raw.sensor, sensor.timebase.last_ns)
        last_ns = before_ns + round(len(raw.acc_10ug) / max(raw.rate_hz, LEAST_RATE_HZ) * NS_PER_S)
        self._expected_ns[raw.sensor] = last_ns
        is_new = raw.arrived_ns - before_ns > NS_PER_S or not sensor.framing.second
        return is_new or last_ns // NS_PER_S > sensor.framing.second

    def _tell(self, event: Event) -> None:
        if isinstance(event, CommandResult):
            return  # who asked gets it from `ask`
        self._responses.follow(event, self.settings.reminding.utc_offsets)
        if isinstance(event, Withdrawn):
            self._outbox.discard(prompt_key(self.wearer))
        else:
            self._outbox.put_all(for_event(self._topics, self.wearer, event, simulated=self.simulated))

    def _tell_state(self, now_ns: int) -> None:
        body = self.state.body
        when = (now_ns, self.settings.reminding.utc_offsets)
        is_worn, is_silent = body.wear is Wear.WORN, bool(self.state.reminding.period)
        notices = self._notices.update(*when, is_worn=is_worn, is_silent=is_silent, battery_pct=self.battery_pct)
        for notice in (*notices, *self._responses.suggest(*when, is_worn=is_worn, is_silent=is_silent)):
            self._tell(notice)
        self._shifts_per_h = self._rate.update(body)
        if self.online is not self._online:
            self._online = self.online
            self._outbox.put(messages.availability(self._topics, self.wearer, self.online))
        if self._throttle.due(body, self.state.reminding, now_ns):
            self._outbox.put(self._state_message(now_ns))

    def _settings_message(self) -> Message:
        values = values_in_force(self.state.reminding, self.settings)
        return messages.wearer_settings(self._topics, self.wearer, values)

    def _state_message(self, now_ns: int) -> Message:
        return wearer_state(
            self._topics,
            self.wearer,
            self.state.body,
            self.state.reminding,
            simulated=self.simulated,
            now_ns=now_ns,
            battery_pct=self.battery_pct,
            shifts_per_h=self._shifts_per_h,
            responses=self._responses,
        )


def _name_sensors(settings: Settings) -> list[list[str]]:
    return [[sensor.id, str(sensor.placement)] for sensor in settings.sensors]


def _restore(saved: dict[str, Any] | None, settings: Settings) -> State:
    """The saved state; with other sensors than before only the reminders go on."""
    fresh = initial(settings)
    if saved is None:
        return fresh
    state = load_state(saved.get("core"))
    if not isinstance(state, State):
        raise SnapshotError("the snapshot holds no state of a wearer")
    if saved.get("sensors") != _name_sensors(settings) or len(state.sensors) != len(settings.sensors):
        return replace(fresh, reminding=state.reminding)
    return state
