"""The Bluetooth transports of `simulate`: virtual sensors on a virtual radio, what happens as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import TYPE_CHECKING, Any

import click

from posturewatch.clock import read_wall_ns
from posturewatch.errors import MissingExtra, PosturewatchError, UsageError

if TYPE_CHECKING:
    from posturewatch_sim.faults import Faults
    from posturewatch_sim.scenarios import Scenario

USUAL_DEVICE = "polar_h10"


class NoVirtualRadio(PosturewatchError):
    """The virtual radio cannot be offered where it was asked for."""


def is_radio(transport: str | None) -> bool:
    """Whether it is one of these transports."""
    return transport is not None and (transport == "vhci" or transport.startswith("unix:"))


def serve(
    scene: Scenario, given: Faults, duration_s: float | None, speed: float | None, options: dict[str, Any]
) -> None:
    """Run until the script ends, a command, SIGTERM or Ctrl-C."""
    try:
        from posturewatch_sim.dongles import DongleError  # noqa: PLC0415  an extra
        from posturewatch_sim.peripherals.virtual import PeripheralError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("bumble"):
            raise
        raise MissingExtra(
            f"--transport {options['transport']} needs an extra: pip install 'posturewatch[sim]'"
        ) from None
    if speed is None:
        raise UsageError("--speed max: a radio has its own pace; name a number")
    try:
        asyncio.run(_serve(scene, given, duration_s, speed, options))
    except PeripheralError as wrong:
        raise UsageError(str(wrong)) from None
    except DongleError as wrong:
        raise NoVirtualRadio(str(wrong)) from None


async def _serve(
    scene: Scenario, given: Faults, duration_s: float | None, speed: float, options: dict[str, Any]
) -> None:
    from posturewatch_sim.control import Control  # noqa: PLC0415  an extra
    from posturewatch_sim.dongles import port_of  # noqa: PLC0415
    from posturewatch_sim.peripherals.virtual import SimClock  # noqa: PLC0415
    from posturewatch_sim.simulation import DeviceSpec, Simulation  # noqa: PLC0415

    start_ns = read_wall_ns()
    clock = SimClock(start_ns, speed)

    def say(event: str, **what: Any) -> None:
        click.echo(json.dumps({"event": event, "t_s": round(clock.now_s(), 3), **what}))

    devices = [DeviceSpec.parse(text) for text in options["device"] or (USUAL_DEVICE,)]
    simulation = Simulation(scene, devices, options["seed"], given, clock, say)
    port = port_of(options["transport"], simulation.air, say)
    control = Control(simulation, port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, control.ended.set)
    async with contextlib.AsyncExitStack() as scopes:
        await port.open()
        scopes.push_async_callback(port.close)
        await simulation.start()
        scopes.push_async_callback(simulation.stop)
        await scopes.enter_async_context(control.listening(options["control"]))
        say("ready", seed=options["seed"], start_ns=start_ns, transport=options["transport"])
        await _until_end(control, simulation, duration_s)
        say("ended", devices=simulation.counts())


async def _until_end(control: Any, simulation: Any, duration_s: float | None) -> None:
    endings = (control.ended.wait(), simulation.until_end(duration_s), simulation.until_failure())
    jobs = [asyncio.create_task(ending) for ending in endings]
    aside = [asyncio.create_task(job) for job in (control.read_stdin(), simulation.report())]
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()
    finally:
        for task in (*jobs, *aside):
            task.cancel()
        await asyncio.gather(*jobs, *aside, return_exceptions=True)
