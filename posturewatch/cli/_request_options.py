"""What all commands that ask the daemon for something have in common."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import ACCESS, broker_options, read_broker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPTIONS = (
    click.option("--wearer", metavar="ID", help="Whom it concerns; not needed if there is one wearer."),
    click.option("--cycle", metavar="ID", help="Only if this reminder is still the open one."),
    click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to ask."),
    click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object."),
)
Asks = tuple[str, dict[str, Any]]  # the last two words of the topic, and what goes along


def request(answer_s: float = 3.0) -> Callable[[Callable[..., Asks]], Callable[..., None]]:
    """Make a command of a function that says what to ask for: adds the options, asks, prints the answer."""

    def decorate(function: Callable[..., Asks]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**given: Any) -> None:
            about = {name: given.pop(name) for name in ("wearer", "cycle", "path", "as_json", "broker")}
            access = {name: given.pop(name) for name in ACCESS}
            ask_and_print(about, access, function(**given), answer_s)

        with_options: Callable[..., None] = broker_options(command)
        for option in reversed(_OPTIONS):
            with_options = option(with_options)
        return with_options

    return decorate


def ask_and_print(about: Mapping[str, Any], access: Mapping[str, Any], asks: Asks, answer_s: float) -> None:
    """Ask whom the options name; a refusal is an error."""
    topic, fields = asks
    fields = {name: value for name, value in {**fields, "cycle": about["cycle"]}.items() if value is not None}
    answer = asyncio.run(_ask(about, access, topic, fields, answer_s))
    _print(answer, about["as_json"])


async def _ask(
    about: Mapping[str, Any], access: Mapping[str, Any], topic: str, fields: Mapping[str, Any], answer_s: float
) -> dict[str, Any]:
    from posturewatch.config import find_file, load  # noqa: PLC0415
    from posturewatch.requests import asking  # noqa: PLC0415
    from posturewatch.requests.control_socket import socket_path  # noqa: PLC0415

    if about["broker"] is not None:
        settings = read_broker(about["broker"], **access)
        return await asking.through_broker(settings, about["wearer"], topic, fields, answer_s)
    folder = load(about["path"] or find_file(os.environ), os.environ).state_folder()
    return await asking.through_daemon(socket_path(folder, os.environ), about["wearer"], topic, fields, answer_s)


def _print(answer: dict[str, Any], as_json: bool) -> None:
    from posturewatch.errors import CommandError  # noqa: PLC0415

    if as_json:
        click.echo(json.dumps(answer))
    if not answer["ok"]:
        key = f" {answer['key']}" if answer.get("key") else ""
        raise CommandError(f"{answer['wearer']}: {answer['action']}{key}: {answer['error']}")
    if not as_json:
        click.echo(
            f"{answer['wearer']}: {answer['action'].replace('_', ' ')}: {_word(answer['action'], answer['value'])}"
        )


def _word(action: str, value: object) -> str:
    """What was done, with the figure that the request may have been bounded to."""
    if isinstance(value, bool) and action != "set":  # whether there was something to end
        return "done" if value else "nothing to end"
    if isinstance(value, float):
        return f"done, for {value:.0f} min" if action in ("hold", "pause", "snooze") else f"done, {value:g}"
    return "done" if value is None else f"done, {value}"


def read_when(when: str | None) -> dict[str, Any]:
    """`45` as minutes, everything else as the moment of an end."""
    try:
        return {} if when is None else {"minutes": float(when)}
    except ValueError:
        return {"until": when}
