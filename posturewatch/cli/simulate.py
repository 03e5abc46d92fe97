"""`posturewatch simulate`: a simulated wearer, to a file, a pipe, a broker or a virtual radio, with the truth."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import ACCESS, broker_options, read_broker
from posturewatch.cli._scenario_picture import (
    complete_scenario,
    describe_plan,
    describe_scenarios,
    describe_sensors,
    draw,
)
from posturewatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posturewatch_sim.faults import Faults
    from posturewatch_sim.plan import Plan
    from posturewatch_sim.scenarios import Scenario
    from posturewatch_sim.stream import Chunk

START_NS = 1_772_438_400 * 10**9  # Monday, 2026-03-02 08:00 UTC: where the time of files starts
BATCH_S = 0.5  # of live transports
USUAL_BROKER = "127.0.0.1:1883"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("simulate", context_settings={"show_default": True})
@click.argument("scenario", default="office-day", metavar="[SCENARIO]", shell_complete=complete_scenario)
@click.option("--list", "list_all", is_flag=True, help="Name the scenarios, and the virtual sensors.")
@click.option("--show", is_flag=True, help="Draw activities and true reminders over time, instead of samples.")
@click.option("--json", "as_json", is_flag=True, help="--list and --show as one JSON object.")
@click.option("--seed", type=click.IntRange(0, 2**62), help="The same seed gives the same bytes; printed if drawn.")
@click.option("--wearer", help="Which wearer of the scenario.  [default: the first]")
@click.option("--duration", metavar="TIME", help="End earlier, or end an endless scenario: 90s, 40m, 8h.")
@click.option(
    "--device",
    multiple=True,
    metavar="MODEL",
    help="Another sensor model than the scenario's.  On a radio: a kind of sensor, several times if need be; "
    "more about it after commas: polar_h10,placement=thigh,mtu=23.",
)
@click.option(
    "--transport",
    metavar="HOW",
    help="file, process, mqtt (to --broker, or the one on this machine), or virtual Bluetooth: unix:PATH, vhci.  "
    "[default: file with --out]",
)
@click.option("--control", type=FILE, help="A socket for commands to virtual sensors, as on standard input: help.")
@click.option("--out", type=FILE, help="Write .parquet or .csv.")
@click.option("--truth", "truth_file", type=FILE, help="Write the truth as JSON Lines.")
@click.option("--speed", default="1", metavar="X|max", help="Of all transports but file.")
@broker_options
@click.option("--sensor", "sensor_id", help="The sensor's id in the topic.  [default: the wearer's id]")
@click.option("--no-truth-topic", is_flag=True, help="To a broker: samples only, no truth on simulator/SENSOR/truth.")
@click.option("--drop", metavar="PART", is_flag=False, flag_value="5%", help="Lose packets: 5%.")
@click.option("--gap", multiple=True, metavar="LENGTH@START", help="Lose everything: 90s@14:00.")
@click.option("--kick", multiple=True, metavar="START", help="Lose the link for some seconds: 12:00.")
@click.option("--drift", metavar="RATE", is_flag=False, flag_value="20mg/h", help="Let the bias drift: 20mg/h.")
@click.option(
    "--clock-skew", metavar="PPM", is_flag=False, flag_value="200ppm", help="Stamp with a wrong clock: 200ppm."
)
@click.option("--clock-jump", multiple=True, metavar="BY@START", help="Set the clock: -1h@12:00.")
@click.option("--stuck-axis", multiple=True, metavar="AXIS@START", help="Freeze an axis: x@10:00.")
@click.option("--flip-axis", multiple=True, metavar="AXIS@START", help="Turn an axis round: y@10:00.")
@click.option("--battery-low", metavar="START", is_flag=False, flag_value="0s", help="Empty the battery: 10:00.")
def command(scenario: str, list_all: bool, show: bool, as_json: bool, truth_file: Path | None, **options: Any) -> None:
    """Simulate a wearer.  SCENARIO is a name of --list or a .toml file."""
    from posturewatch_sim.faults import FaultError  # noqa: PLC0415  keeps `--help` quick
    from posturewatch_sim.plan import Plan  # noqa: PLC0415
    from posturewatch_sim.scenarios import ScenarioError, load  # noqa: PLC0415
    from posturewatch_sim.truth import truth  # noqa: PLC0415

    from posturewatch.cli._virtual_radio import is_radio  # noqa: PLC0415  keeps `--help` quick

    if list_all:
        _list(as_json)
        return
    if as_json and not show:
        raise UsageError("--json belongs to --list or --show; samples go to --out or --transport process")
    if options["seed"] is None:
        options["seed"] = secrets.randbelow(10**6)
    transport: str | None = options["transport"]
    if transport not in (None, "file", "process", "mqtt") and not is_radio(transport):
        raise UsageError(f"--transport {transport!r} is not known; allowed are file, process, mqtt, unix:PATH and vhci")
    try:
        scene = load(scenario)
        duration_s = _duration_s(options["duration"])
        given = _faults(options)
        click.echo(f"scenario {scene.name}, seed {options['seed']}", err=True)
        if show or truth_file is not None:
            about = {"wearer": options["wearer"], "faults": given, "duration_s": duration_s}
            events = truth(scene, seed=options["seed"], **about)
            _write_truth(truth_file, events)
        if show:
            _show(Plan(scene, options["seed"], options["wearer"]), events, as_json)
            return
        _send(scene, given, duration_s, options, truth_file)
    except (ScenarioError, FaultError) as wrong:
        raise UsageError(str(wrong)) from None


def _list(as_json: bool) -> None:
    scenes, sensors = describe_scenarios(), describe_sensors()
    if as_json:
        click.echo(json.dumps({"scenarios": scenes, "devices": sensors}))
        return
    for scene in scenes:
        click.echo(f"{scene['name']:18} {scene['title']}")
    if sensors:
        click.echo("\nVirtual Bluetooth sensors, for --device with --transport unix:PATH or vhci:")
    for sensor in sensors:
        click.echo(f"{sensor['device']:18} {sensor['about']}")


def _duration_s(text: str | None) -> float | None:
    from posturewatch_sim.faults import moment_s  # noqa: PLC0415

    if text is None:
        return None
    try:
        length_s = moment_s(text)
    except ValueError:
        length_s = 0.0
    if length_s <= 0.0:
        raise UsageError(f"--duration {text!r} cannot be read; write it like 90s, 40m or 8h")
    return length_s


def _faults(options: dict[str, Any]) -> Faults:
    from posturewatch_sim.faults import HOW, Faults  # noqa: PLC0415

    return Faults.parse({name: options[name] for name in HOW if options[name]})


def _write_truth(path: Path | None, events: list[dict[str, Any]]) -> None:
    if path is None:
        return
    try:
        path.write_text("".join(json.dumps(e) + "\n" for e in events), encoding="utf-8")
    except OSError as wrong:
        raise UsageError(f"--truth {path}: {wrong.strerror}; name a file that can be written") from None


def _show(plan: Plan, events: list[dict[str, Any]], as_json: bool) -> None:
    import shutil  # noqa: PLC0415

    if as_json:
        click.echo(json.dumps(describe_plan(plan, events)))
        return
    for line in draw(plan, events, shutil.get_terminal_size().columns):
        click.echo(line)


def _send(
    scene: Scenario, given: Faults, duration_s: float | None, options: dict[str, Any], truth_file: Path | None
) -> None:
    """Make the samples and hand them to the transport."""
    from posturewatch_sim.stream import samples  # noqa: PLC0415

    from posturewatch.cli._virtual_radio import is_radio, serve  # noqa: PLC0415

    out: Path | None = options["out"]
    transport = options["transport"] or ("file" if out else None)
    if transport is None:
        if truth_file is None:
            raise UsageError("where to? name a file with --out, or choose --transport process, mqtt or unix:PATH")
        return
    if (transport == "file") != (out is not None):
        raise UsageError("--out FILE and --transport file belong together")
    if is_radio(transport):
        serve(scene, given, duration_s, _speed(options["speed"]), options)
        return
    for name in ("control", "battery_low"):
        if options[name] is not None:
            raise UsageError(f"--{name.replace('_', '-')} belongs to --transport unix:PATH or vhci")
    if len(options["device"]) > 1:
        raise UsageError(f"--device can be given once with --transport {transport}")
    options["device"] = next(iter(options["device"]), None)
    source = {
        "seed": options["seed"],
        "wearer": options["wearer"],
        "sensor_model": options["device"],
        "faults": given,
        "duration_s": duration_s,
    }
    if out is not None:
        if duration_s is None and scene.duration_s is None and scene.wearer(options["wearer"]).endless:
            raise UsageError(f"{scene.name} has no end; say --duration 8h")
        _write(out, samples(scene, start_ns=START_NS, **source))
        return
    _stream(scene, transport, source, options)


def _stream(scene: Scenario, transport: str, source: dict[str, Any], options: dict[str, Any]) -> None:
    """Live, to a pipe or a broker."""
    from posturewatch_sim.stream import model_named, samples  # noqa: PLC0415
    from posturewatch_sim.telling import Telling  # noqa: PLC0415

    from posturewatch.cli._simulated_gateway import in_step, print_samples, publish_samples  # noqa: PLC0415
    from posturewatch.clock import read_wall_ns  # noqa: PLC0415

    wearer = scene.wearer(options["wearer"])
    rate_hz = model_named(options["device"] or wearer.sensor).rate_hz
    speed = _speed(options["speed"])
    telling = None
    if transport == "mqtt" and not options["no_truth_topic"]:
        telling = Telling(scene, **{name: value for name, value in source.items() if name != "sensor_model"})
    start_ns = read_wall_ns()
    paced = in_step(samples(scene, start_ns=start_ns, chunk_s=BATCH_S, **source), speed)
    if transport == "process":
        asyncio.run(print_samples(paced, rate_hz))
        return
    broker = read_broker(options["broker"] or USUAL_BROKER, **{name: options[name] for name in ACCESS})
    asyncio.run(publish_samples(paced, rate_hz, broker, options["sensor_id"] or wearer.id, telling, start_ns))


def _write(out: Path, chunks: Iterator[Chunk]) -> None:
    from posturewatch_sim.files import write  # noqa: PLC0415

    try:
        count = write(out, chunks, START_NS)
    except OSError as wrong:
        raise UsageError(f"--out {out}: {wrong.strerror or wrong}; name a file that can be written") from None
    click.echo(f"{out}: {count} samples", err=True)


def _speed(text: str) -> float | None:
    """None: as fast as it goes."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e6:  # noqa: PLR2004  # beyond it the clock's steps show
        raise UsageError(f"--speed {text!r}: allowed are max, or a number above 0")
    return speed
