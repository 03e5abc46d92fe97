"""Where requests come in and are answered: from the broker, and from the control socket, by the same rules.

Bounded in everything: size, rate, what is remembered.  Nothing here waits, but for a calibration, which takes its time.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from posturewatch.calibrating.capturing import Capture, choose_sensor, explain
from posturewatch.core.reminding.commands import ANSWER_KEPT_NS
from posturewatch.errors import CommandError
from posturewatch.publishing import messages
from posturewatch.requests.commands import (
    MAX_BYTES,
    SHOWN,
    Address,
    Asked,
    LocalTime,
    find_reply_topic,
    read_payload,
    read_topic,
    to_command,
)
from posturewatch.types import NS_PER_S, CommandResult, Happened, Message, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from posturewatch.core.calibration import Attempt
    from posturewatch.core.settings import Calibration
    from posturewatch.mqtt.link import Received
    from posturewatch.publishing.topics import Topics
    from posturewatch.sinks.outbox import Outbox
    from posturewatch.types import Command
    from posturewatch.watch import Watch

log = logging.getLogger(__name__)

BURST = 20  # requests at once, of one wearer
PER_S = 5.0  # and so many a second in the long run
COMPLAINT_NS = 60 * NS_PER_S
KEPT_TOPICS = 200  # with a retained request on them
KEPT_CALIBRATIONS = 64  # that were asked for with a transaction
NOBODY = ""  # the allowance of requests to wearers that do not exist


class Allowance:
    """How many requests are still welcome: a bucket that fills with time.  Pure: time comes as a number."""

    __slots__ = ("_filled_ns", "_left", "refused")

    def __init__(self, now_ns: int) -> None:
        """Full at the start."""
        self._left = float(BURST)
        self._filled_ns = now_ns
        self.refused = 0

    def take(self, now_ns: int) -> bool:
        """Whether one more is welcome."""
        elapsed_s = max(0, now_ns - self._filled_ns) / NS_PER_S  # a clock set back fills nothing
        self._left = min(float(BURST), self._left + elapsed_s * PER_S)
        self._filled_ns = now_ns
        if self._left < 1.0:
            self.refused += 1
            return False
        self._left -= 1.0
        return True


@dataclass(slots=True)
class DeskCounts:
    """What became of the requests, since the start."""

    done: int = 0
    refused: int = 0  # answered with an error
    too_many: int = 0
    retained: int = 0


@dataclass(slots=True)
class Calibrating:
    """A calibration that somebody may ask for again: who waits for its end, and then its answer."""

    since_ns: int
    waiting: list[Callable[[CommandResult], None]] = field(default_factory=list)
    answer: CommandResult | None = None

    def tell(self, done: Callable[[CommandResult], None], now_ns: int) -> None:
        """The answer, now or when it is known."""
        if self.answer is None:
            self.waiting.append(done)
        else:
            done(replace(self.answer, t_ns=now_ns))

    def conclude(self, answer: CommandResult) -> None:
        """Tell everybody who asked."""
        self.answer = answer
        waiting, self.waiting = self.waiting, []
        for tell in waiting:
            tell(answer)


class Desk:
    """One for all wearers of a daemon."""

    def __init__(  # noqa: PLR0913  # one parameter for each part it stands between
        self,
        topics: Topics,
        watches: Iterable[Watch],
        outbox: Outbox,
        now_ns: Callable[[], int],
        on_change: Callable[[], None],
        on_calibrated: Callable[[str, Calibration], None] | None = None,
    ) -> None:
        """`on_change`: something worth saving changed; `on_calibrated`: keep this, or say `CommandError` why not."""
        self._topics = topics
        self._watches = {watch.wearer: watch for watch in watches}
        self._outbox = outbox
        self._now_ns = now_ns
        self._on_change = on_change
        self._on_calibrated = on_calibrated
        self._allowances = {name: Allowance(now_ns()) for name in (*self._watches, NOBODY)}
        self._complained_ns: int | None = None
        self._calibrations: dict[tuple[str, str | None], Calibrating] = {}  # by wearer and transaction
        self._retained: set[str] = set()  # topics that were told about
        self._emptied: set[str] = set()  # topics that we just emptied, and will hear about
        self.counts = DeskCounts()

    @property
    def subscriptions(self) -> list[str]:
        """What the broker is asked for."""
        return [f"{self._topics.base}/wearer/+/{kind}/+" for kind in ("do", "set")]

    # ------------------------------------------------------------ from the broker

    def hear(self, received: Received) -> None:
        """One message, whatever it is; never waits, never fails."""
        address = read_topic(self._topics.base, received.topic)
        if address is None:
            return
        if received.retain:
            self._refuse_retained(received)
            return
        if not received.payload and received.topic in self._emptied:
            self._emptied.discard(received.topic)
            return
        now_ns = self._now_ns()
        watch = self._watches.get(address.wearer)
        if not self._allowances[watch.wearer if watch else NOBODY].take(now_ns):
            self._refuse_flood(now_ns)
            return
        self._serve(address, received.payload, now_ns, lambda answer: self._reply(received, watch, answer))

    def _serve(self, address: Address, payload: bytes, now_ns: int, tell: Callable[[CommandResult], None]) -> None:
        """Carry out a request; `tell` gets its answer, now or when it is done."""
        asked = Asked()

        def done(answer: CommandResult) -> None:
            self._count(answer)
            tell(answer)

        try:
            asked = read_payload(payload)
            self._carry_out(address, asked, now_ns, done)
        except CommandError as error:
            done(_refusal(address, asked, now_ns, str(error)))

    def _carry_out(self, address: Address, asked: Asked, now_ns: int, done: Callable[[CommandResult], None]) -> None:
        watch = self._watches.get(address.wearer)
        if watch is None:
            raise CommandError(f"no wearer {address.wearer[:SHOWN]!r} is watched over here")
        command = to_command(address, asked, LocalTime(now_ns, watch.settings.reminding.utc_offsets))
        if command.verb is Verb.CALIBRATE:
            self._calibrate(watch, command, done)
        else:
            done(watch.ask(command))

    def _calibrate(self, watch: Watch, command: Command, done: Callable[[CommandResult], None]) -> None:
        """Takes ten seconds of samples; the answer comes after them, to all who sent the same request."""
        name = (watch.wearer, command.request)
        known = self._calibrations.get(name) if command.request is not None else None
        if known is not None and 0 <= command.t_ns - known.since_ns < ANSWER_KEPT_NS:
            known.tell(done, command.t_ns)
            return
        calibrating = Calibrating(command.t_ns, [done])
        if command.request is not None:
            self._calibrations.pop(name, None)
            self._calibrations[name] = calibrating
            while len(self._calibrations) > KEPT_CALIBRATIONS:
                del self._calibrations[next(iter(self._calibrations))]
        try:
            if command.cycle is not None and command.cycle != watch.state.reminding.cycle:
                raise CommandError("stale")
            self._capture(watch, command, calibrating.conclude)
        except CommandError as error:
            refusal = CommandResult(command.t_ns, Verb.CALIBRATE, ok=False, request=command.request, error=str(error))
            calibrating.conclude(refusal)

    def _capture(self, watch: Watch, command: Command, done: Callable[[CommandResult], None]) -> None:
        sensor = choose_sensor(watch.settings.sensors, command.key)

        def conclude(attempt: Attempt) -> None:
            error, grade = None, None
            try:
                if attempt.calibration is None:
                    raise CommandError(explain(attempt))
                self._keep_calibration(watch, sensor, attempt.calibration)
                grade = attempt.calibration.grade
            except CommandError as refusal:
                error = str(refusal)
            now_ns = self._now_ns()
            done(CommandResult(now_ns, Verb.CALIBRATE, error is None, command.request, error, grade, sensor))

        watch.capture(Capture(sensor, command.t_ns, conclude))

    def _keep_calibration(self, watch: Watch, sensor: str, calibration: Calibration) -> None:
        if self._on_calibrated is None:
            raise CommandError("this daemon keeps no calibrations")
        self._on_calibrated(sensor, calibration)
        detail = {"sensor": sensor, "grade": calibration.grade}
        watch.note(Happened(self._now_ns(), "calibrated", None, detail))

    def _count(self, answer: CommandResult) -> None:
        if answer.ok:
            self.counts.done += 1
            self._on_change()
        else:
            self.counts.refused += 1

    def _reply(self, received: Received, watch: Watch | None, answer: CommandResult) -> None:
        usual = self._topics.bridge("result") if watch is None else self._topics.wearer(watch.wearer, "result")
        wanted = find_reply_topic(self._topics.base, received.response_topic)
        correlation = received.correlation if len(received.correlation or b"") <= MAX_BYTES else None
        self._outbox.put(messages.result(wanted or usual, answer, correlation))

    def _refuse_retained(self, received: Received) -> None:
        """A request that the broker kept would come again and again: told once, and taken off the broker."""
        self.counts.retained += 1
        if not received.payload or len(self._retained) >= KEPT_TOPICS:
            return
        if received.topic not in self._retained:
            self._retained.add(received.topic)
            log.warning("%s: a retained command is ignored and removed; send commands without retain", received.topic)
        self._emptied.add(received.topic)
        self._outbox.put(Message(received.topic, b"", retain=True, key=f"empty/{received.topic}"))

    def _refuse_flood(self, now_ns: int) -> None:
        """Without an answer to each, since that would be a flood too: told at most once a minute."""
        self.counts.too_many += 1
        if self._complained_ns is None or not 0 <= now_ns - self._complained_ns < COMPLAINT_NS:
            self._complained_ns = now_ns
            log.warning("too many commands: more than %g a second are ignored (%d so far)", PER_S, self.counts.too_many)
            detail = {"ignored": self.counts.too_many, "per_s": PER_S}
            self._outbox.put(messages.bridge_event(self._topics, "too_many_commands", now_ns, detail))

    # ------------------------------------------------------------ from the command line

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A request through the control socket: `wearer` (none: the only one), `kind`, `word` and `payload`."""
        now_ns = self._now_ns()
        address = Address(*(str(request.get(name) or "") for name in ("wearer", "kind", "word")))
        answered: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()

        def tell(answer: CommandResult) -> None:
            if not answered.done():  # whoever asked may have left
                answered.set_result(answer)

        try:
            address = Address(address.wearer or self._only_wearer(), address.kind, address.word)
        except CommandError as error:
            tell(_refusal(address, Asked(), now_ns, str(error)))
        else:
            self._serve(address, str(request.get("payload", "")).encode(errors="replace"), now_ns, tell)
        answer = await answered
        return {"wearer": address.wearer, "result": messages.result_content(answer)}

    def _only_wearer(self) -> str:
        if len(self._watches) != 1:
            raise CommandError(
                f"there are several wearers: name one of {', '.join(sorted(self._watches))[: SHOWN * 5]}"
            )
        return next(iter(self._watches))


def _refusal(address: Address, asked: Asked, now_ns: int, error: str) -> CommandResult:
    """The answer to what never became a command."""
    is_set = address.kind == "set"
    action, key = ("set", address.word[:SHOWN]) if is_set else (address.word[:SHOWN], None)
    return CommandResult(now_ns, action, ok=False, request=asked.transaction, error=error, key=key)
