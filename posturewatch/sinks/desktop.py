"""Prompts as notifications on the desktop, with buttons; gone when the body obeys.

`desktop-notifier` (extra `desktop`) speaks to the desktop.  What should be seen is decided in `desktop_notes.py`; here
the screen is brought in line with it.  A desktop that is not there is one warning and is tried again, ever more slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from posturewatch.errors import ConfigError, MissingExtra, SinkError
from posturewatch.publishing.texts import ENGLISH_DESKTOP
from posturewatch.sinks import SinkKind
from posturewatch.sinks.desktop_notes import DesktopNotes
from posturewatch.types import NS_PER_S, Channel, Verb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dbus_fast.aio.message_bus import MessageBus
    from desktop_notifier.backends.base import DesktopNotifierBackend

    from posturewatch.sinks import SinkContext
    from posturewatch.sinks.desktop_notes import DesktopSettings, Note

    Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]

log = logging.getLogger(__name__)

ANSWER_S = 5.0  # a desktop that takes longer is not there
FIRST_RETRY_S, LAST_RETRY_S = 30.0, 600.0
LONGEST_WAIT_S = 3600.0
ICON = "appointment-soon"  # a standard name of the icon naming specification


class Screen:
    """One connection to the desktop's notification service; any exception means that it is of no more use."""

    def __init__(self) -> None:
        """Nothing is opened yet; the library is imported here, since it is an extra."""
        from desktop_notifier import Icon  # noqa: PLC0415
        from desktop_notifier.main import get_backend_class  # noqa: PLC0415

        # Failures are told by us, once; the library would log a traceback for each.
        logging.getLogger("desktop_notifier").setLevel(logging.ERROR)
        self._service: DesktopNotifierBackend = get_backend_class()("posturewatch", Icon(name=ICON))
        self._numbers: dict[str, int] = {}  # that the service gave, where it gives some

    async def open(self) -> None:
        """Find the service; whatever the library lets through if there is none."""
        async with asyncio.timeout(ANSWER_S):
            await self._service.get_capabilities()

    async def show(
        self,
        note: Note,
        buttons: Mapping[str, Callable[[], object]],
        *,
        on_closed: Callable[[], object],
        sound: bool,
        timeout_s: float,
    ) -> str:
        """Show it, and give the name by which it can be taken away."""
        from desktop_notifier import DEFAULT_SOUND, Button, Notification, Urgency  # noqa: PLC0415  an extra

        sent: list[bool] = []
        notification = Notification(
            note.title,
            note.text,
            urgency=Urgency.Low if note.is_quiet else Urgency.Normal,
            buttons=tuple(Button(title, pressed) for title, pressed in buttons.items()),
            sound=DEFAULT_SOUND if sound and not note.is_quiet else None,
            timeout=max(1, round(timeout_s)),
            on_dispatched=lambda: sent.append(True),
            on_clicked=on_closed,
            on_dismissed=on_closed,
        )
        self._check_bus()
        async with asyncio.timeout(ANSWER_S):
            await self._service.send(notification)  # logs what goes wrong instead of raising it
        if not sent:
            raise SinkError("the notification was not accepted")
        known = getattr(self._service, "_platform_to_interface_notification_identifier", {})  # there is no public way
        self._numbers.update({name: number for number, name in known.items()})
        return notification.identifier

    async def take_away(self, name: str) -> None:
        """Close it, also where a button was pressed: some services leave it on the screen then."""
        self._check_bus()
        number = self._numbers.pop(name, None)
        async with asyncio.timeout(ANSWER_S):
            try:
                await self._service.clear(name)
            except KeyError:  # the library has forgotten it
                if number is not None:
                    await self._close_number(number)

    async def _close_number(self, number: int) -> None:
        interface: Any = getattr(self._service, "interface", None)  # only with D-Bus; its methods are made at run time
        if interface is not None:
            with contextlib.suppress(Exception):  # it is closed already
                await interface.call_close_notification(number)

    def close(self) -> None:
        """Hang up: the library has no word for it, and each new connection would leave one behind."""
        if self._bus is not None:
            self._bus.disconnect()

    @property
    def _bus(self) -> MessageBus | None:
        """Where notifications go over D-Bus, its connection."""
        return getattr(self._service, "bus", None)

    def _check_bus(self) -> None:
        if self._bus is not None and not self._bus.connected:
            raise SinkError("the session has ended")


class DesktopSink:
    """The notifications of the wearers shown on this machine."""

    def __init__(self, settings: DesktopSettings, context: SinkContext, first_retry_s: float = FIRST_RETRY_S) -> None:
        """Nothing is opened before there is something to show."""
        self._settings = settings
        self._outbox = context.outbox
        self._now_ns = context.now_ns
        self._speed = context.clock_speed
        self._ask: Ask | None = context.ask
        self._notes = DesktopNotes(settings, context.clock_speed)
        self._shown: dict[str, tuple[Note, str]] = {}
        self._changed = asyncio.Event()
        self._pressed: set[asyncio.Task[None]] = set()
        self._screen: Screen | None = None
        self._first_retry_s = self._retry_s = first_retry_s
        self._retry_at_s = 0.0  # of the loop's clock
        self._is_warned = False

    async def run(self) -> None:
        """Show until the outbox is closed and empty; then nothing of ours stays on the screen."""
        try:
            async with asyncio.TaskGroup() as group:
                painter = group.create_task(self._paint(), name="desktop painter")
                await self._follow()
                painter.cancel()
        finally:
            for task in self._pressed:
                task.cancel()
            await self._leave()

    async def _follow(self) -> None:
        while (message := await self._outbox.next()) is not None:
            self._notes.take(message, self._now_ns())
            self._outbox.done(message)
            self._changed.set()

    async def _paint(self) -> None:
        while True:
            self._changed.clear()
            for wearer in self._settings.snooze_minutes:
                await self._bring_in_line(wearer)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s()):
                    await self._changed.wait()

    def _wait_s(self) -> float:
        """Until a note ends by itself, or one that could not be shown is tried again."""
        now_ns, now_s = self._now_ns(), asyncio.get_running_loop().time()
        end_ns = self._notes.next_end_ns(now_ns)
        waits = [LONGEST_WAIT_S] if end_ns is None else [(end_ns - now_ns) / NS_PER_S / self._speed]
        if self._retry_at_s > now_s:
            waits.append(self._retry_at_s - now_s)
        return max(0.01, min(waits))

    async def _bring_in_line(self, wearer: str) -> None:
        wanted = self._notes.wanted(wearer, self._now_ns())
        shown, name = self._shown.get(wearer, (None, ""))
        if wanted == shown:
            return
        try:
            if shown is not None:
                del self._shown[wearer]
                if self._screen is not None:
                    await self._screen.take_away(name)
            if wanted is not None and asyncio.get_running_loop().time() >= self._retry_at_s:
                await self._show(wearer, wanted)
        except Exception as error:  # noqa: BLE001  the library lets all kinds through, and none of them is fatal
            self._lose(error)

    async def _show(self, wearer: str, note: Note) -> None:
        if self._screen is None:
            self._screen = Screen()
            await self._screen.open()
        name = await self._screen.show(
            note,
            self._make_buttons(wearer, note),
            on_closed=lambda: self._dismiss(wearer, note),
            sound=self._settings.sound,
            timeout_s=(note.until_ns - self._now_ns()) / NS_PER_S / self._speed,
        )
        self._shown[wearer] = (note, name)
        self._retry_s, self._retry_at_s = self._first_retry_s, 0.0
        if self._is_warned:
            self._is_warned = False
            log.info("desktop notifications work again")

    def _lose(self, error: Exception) -> None:
        """Told once for each outage; what should be seen now is tried again later."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None
        self._shown.clear()
        self._retry_at_s = asyncio.get_running_loop().time() + self._retry_s
        self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
        if not self._is_warned:
            self._is_warned = True
            said = " ".join(str(error).split()) or type(error).__name__
            log.warning("no desktop notifications (%s): is a desktop running in this session? trying again", said)

    async def _leave(self) -> None:
        """Take everything away: buttons that nobody hears are worse than none."""
        screen, self._screen = self._screen, None
        if screen is None:
            return
        for _, name in self._shown.values():
            with contextlib.suppress(Exception):  # whatever it is, it is over now
                await screen.take_away(name)
        screen.close()

    # ------------------------------------------------------------ buttons

    def _make_buttons(self, wearer: str, note: Note) -> dict[str, Callable[[], object]]:
        if not note.has_buttons:
            return {}
        minutes, texts = self._settings.snooze_minutes[wearer], ENGLISH_DESKTOP
        return {
            texts.going: lambda: self._press(wearer, note, Verb.ACK),
            texts.later.format(minutes=minutes): lambda: self._press(wearer, note, Verb.SNOOZE, minutes=minutes),
            texts.skip: lambda: self._press(wearer, note, Verb.SKIP),
        }

    def _dismiss(self, wearer: str, note: Note) -> None:
        self._notes.dismiss(wearer, note)
        self._changed.set()

    def _press(self, wearer: str, note: Note, verb: Verb, **fields: Any) -> None:
        """The desktop has closed the notification; its button becomes a request like any other."""
        self._dismiss(wearer, note)
        if self._ask is not None:
            payload = json.dumps({"cycle": note.cycle, "channel": Channel.DESKTOP, **fields})
            request = {"wearer": wearer, "kind": "do", "word": verb.value, "payload": payload}
            task = asyncio.create_task(self._request(wearer, request, self._ask), name=f"desktop {verb}")
            self._pressed.add(task)
            task.add_done_callback(self._pressed.discard)

    async def _request(self, wearer: str, request: Mapping[str, Any], ask: Ask) -> None:
        result = (await ask(request))["result"]
        if not result["ok"]:
            log.info("%s of %s by a button: %s", request["word"], wearer, result["error"])
            if result["error"] != "stale":
                self._notes.refuse(wearer, str(result["error"]), self._now_ns())
                self._changed.set()


def build(context: SinkContext) -> DesktopSink:
    """The notifications of `context.desktop`."""
    if context.desktop is None:
        raise ConfigError("the desktop sink needs its settings: set desktop.enabled = true")
    if find_spec("desktop_notifier") is None:
        raise MissingExtra("desktop notifications need the extra [desktop]: pip install 'posturewatch[desktop]'")
    return DesktopSink(context.desktop, context)


SINK = SinkKind("desktop", build)
