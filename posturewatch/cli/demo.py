"""Watch a simulated wearer be reminded, on a broker of its own, 60 times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker
from posturewatch.cli._scenario_picture import complete_scenario
from posturewatch.errors import UsageError

if TYPE_CHECKING:
    from posturewatch.config import Broker
    from posturewatch.signals import Signals

DEMO_TOPIC = "posturewatch-demo"  # beside a daemon that uses the same broker


@click.command("demo", context_settings={"show_default": True})
@click.option("--once", is_flag=True, help="End after one full cycle; exit code 1 if it does not come.")
@click.option("--json", "as_json", is_flag=True, help="Print every MQTT message as one line of JSON, nothing else.")
@click.option(
    "--scenario",
    default="demo-cycle",
    shell_complete=complete_scenario,
    help="A name of `posturewatch simulate --list`.",
)
@click.option("--seed", type=click.IntRange(0, 2**62), default=1, help="The same seed gives the same day.")
@click.option("--speed", type=click.FloatRange(1, 600), default=60.0, help="So many times as fast as real time.")
@click.option("--port", type=click.IntRange(1, 65534), help="Of the broker; MQTT 3.1.1 is on the next.  [default: any]")
@broker_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    once: bool,
    as_json: bool,
    scenario: str,
    seed: int,
    speed: float,
    port: int | None,
    broker: str | None,
    **access: Any,
) -> int:
    """Show it: a simulated wearer sits still, is reminded over MQTT, gets up, and the reminder clears itself.

    The limits are the real ones, the clock runs faster.  Any MQTT client can look on.  Nothing is left behind.

    With --broker everything goes to that broker instead, below posturewatch-demo unless --base-topic says otherwise.
    Home Assistant there shows a device that is marked as simulated, and forgets it when the demo ends.
    """
    from posturewatch.demo import DemoOptions, show  # noqa: PLC0415
    from posturewatch.signals import until_stopped  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415
    from posturewatch.terminal.screen import LiveView, view_for  # noqa: PLC0415

    if context.get_parameter_source("base_topic") is click.core.ParameterSource.DEFAULT:
        access["base_topic"] = DEMO_TOPIC
    options = DemoOptions(scenario, seed, speed, once, _broker(broker, port, access))

    async def demonstrate(signals: Signals) -> None:
        view = view_for(f"posturewatch demo: {scenario}, seed {seed}, {speed:g} times as fast", as_json)
        with logging_to_stderr("error" if isinstance(view, LiveView) else "warning"):
            await show(options, view, signals)

    return until_stopped(demonstrate)


def _broker(address: str | None, port: int | None, access: dict[str, Any]) -> Broker:
    """The one that was named, or one of our own."""
    from pydantic import SecretStr  # noqa: PLC0415  keeps `--help` quick

    from posturewatch.config import Broker  # noqa: PLC0415

    if address is None:
        return Broker(port=port)
    if port is not None:
        raise UsageError("--port is for a broker of the demo's own; write --broker HOST:PORT")
    named = read_broker(address, **access)
    return Broker(
        host=named.host,
        port=named.port,
        username=named.username,
        password=None if named.password is None else SecretStr(named.password),
        tls=named.tls is not None,
        tls_cafile=None if named.tls is None or named.tls.cafile is None else named.tls.cafile.absolute(),
        insecure=named.insecure,
        base_topic=named.base_topic,
    )
