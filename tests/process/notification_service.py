"""A desktop's notification service: org.freedesktop.Notifications, by its specification (version 1.2).

Run as a program: python notification_service.py ADDRESS_OF_THE_BUS

Each call is a JSON line on standard output; what a person does is read from standard input: `press ID TITLE`,
`choose ID TITLE` (the same with a service that leaves the notification on the screen, as dunst does), `dismiss ID`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Any

from dbus_fast.aio.message_bus import MessageBus
from dbus_fast.annotations import DBusDict, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

Words = Annotated[list[str], DBusSignature("as")]
About = Annotated[tuple[str, str, str, str], DBusSignature("ssss")]
Nothing = Annotated[None, DBusSignature("")]
Closed = Annotated[tuple[int, int], DBusSignature("uu")]
Invoked = Annotated[tuple[int, str], DBusSignature("us")]
DISMISSED, BY_CALL = 2, 3


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Notifications(ServiceInterface):
    """What is on the screen, by number."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.actions: dict[int, dict[str, str]] = {}  # title -> key
        self.count = 0

    @dbus_method(name="Notify")
    def notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        text: DBusStr,
        actions: Words,
        hints: DBusDict,
        timeout_ms: DBusInt32,
    ) -> DBusUInt32:
        self.count += 1
        number = replaces or self.count
        self.actions[number] = dict(zip(actions[1::2], actions[::2], strict=True))
        plain = {name: hint.value for name, hint in hints.items()}
        shown = [button for button in actions[1::2] if button]
        about = {"app": app, "icon": icon, "title": title, "text": text, "timeout_ms": timeout_ms}
        tell(call="notify", id=number, buttons=shown, hints=plain, open=len(self.actions), **about)
        return number

    @dbus_method(name="CloseNotification")
    def close_notification(self, number: DBusUInt32) -> Nothing:
        tell(call="close", id=number, was_open=number in self.actions)
        if self.actions.pop(number, None) is not None:
            self.closed(number, BY_CALL)

    @dbus_method(name="GetCapabilities")
    def get_capabilities(self) -> Words:
        return ["actions", "body", "persistence"]

    @dbus_method(name="GetServerInformation")
    def get_server_information(self) -> About:
        return "test", "posturewatch", "1", "1.2"

    @dbus_signal(name="NotificationClosed")
    def closed(self, number: int, why: int) -> Closed:
        return number, why

    @dbus_signal(name="ActionInvoked")
    def invoked(self, number: int, key: str) -> Invoked:
        return number, key


async def main(address: str) -> None:
    bus = await MessageBus(bus_address=address).connect()
    screen = Notifications()
    bus.export("/org/freedesktop/Notifications", screen)
    await bus.request_name("org.freedesktop.Notifications")
    tell(call="ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, number, *title = line.split(maxsplit=2)
        buttons = screen.actions.get(int(number))
        if buttons is None:  # it went away under the person's hand
            continue
        if title:
            screen.invoked(int(number), buttons[title[0].strip()])
        if word != "choose":
            del screen.actions[int(number)]
            screen.closed(int(number), DISMISSED)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
