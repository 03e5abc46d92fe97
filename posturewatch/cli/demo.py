"""Watch a simulated wearer be reminded, on a broker of its own, 60 times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from posturewatch.signals import Signals


@click.command("demo", context_settings={"show_default": True})
@click.option("--once", is_flag=True, help="End after one full cycle; exit code 1 if it does not come.")
@click.option("--json", "as_json", is_flag=True, help="Print every MQTT message as one line of JSON, nothing else.")
@click.option("--scenario", default="demo-cycle", help="A name of `posturewatch simulate --list`.")
@click.option("--seed", type=click.IntRange(0, 2**62), default=1, help="The same seed gives the same day.")
@click.option("--speed", type=click.FloatRange(1, 600), default=60.0, help="So many times as fast as real time.")
@click.option("--port", type=click.IntRange(1, 65534), help="Of the broker; MQTT 3.1.1 is on the next.  [default: any]")
def command(*, once: bool, as_json: bool, scenario: str, seed: int, speed: float, port: int | None) -> int:
    """Show it: a simulated wearer sits still, is reminded over MQTT, gets up, and the reminder clears itself.

    The limits are the real ones, the clock runs faster.  Any MQTT client can look on.  Nothing is left behind.
    """
    from posturewatch.demo import DemoOptions, show  # noqa: PLC0415
    from posturewatch.log_output import logging_to_stderr  # noqa: PLC0415
    from posturewatch.screen import LiveView, view_for  # noqa: PLC0415
    from posturewatch.signals import until_stopped  # noqa: PLC0415  keeps `--help` quick

    options = DemoOptions(scenario, seed, speed, port, once)

    async def demonstrate(signals: Signals) -> None:
        view = view_for(f"posturewatch demo: {scenario}, seed {seed}, {speed:g} times as fast", as_json)
        with logging_to_stderr("error" if isinstance(view, LiveView) else "warning"):
            await show(options, view, signals)

    return until_stopped(demonstrate)
