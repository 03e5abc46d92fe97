"""Coverage-guided fuzzing of all decoders with atheris: `make fuzz`, or this file with names of targets.

Each target runs in a process of its own for its share of the time.  Anything but a packet or a `DecodeError` ends it
with the bytes that did it, as hex digits for `posturewatch decode` or a new test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import atheris
except ImportError:
    sys.exit(
        f"fuzzing needs atheris, which has no wheel for every Python; this is {sys.version.split()[0]}. "
        "`make fuzz` installs it; with another interpreter: make fuzz PYTHON=/path/to/python3.12"
    )

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.drivers import Family, GattDriver, Packet, Steps

with atheris.instrument_imports(include=["posturewatch"]):
    import numpy as np

    from posturewatch.drivers import BATTERY, Advert, Ask, Characteristic, Offered, Options, Read, discover
    from posturewatch.drivers.described import DescribedFamily
    from posturewatch.drivers.gateway import decode as decode_gateway
    from posturewatch.drivers.movesense import NOTIFY, WRITE
    from posturewatch.drivers.polar import CONTROL, DATA
    from posturewatch.drivers.polar_control import Reply, choose, factor_of, parse_settings, start_command
    from posturewatch.drivers.preset_files import parse_presets
    from posturewatch.errors import ConfigError, DecodeError, SensorRefused, StreamEnded

    FAMILIES = discover()  # imports the rest of them

MAX_BYTES, MEMORY_MB, ONE_INPUT_S = 700, 512, 5
WIT_TAIL = "-0000-1000-8000-00805f9a34fb"
WIT = Characteristic("0000ffe5" + WIT_TAIL, "0000ffe4" + WIT_TAIL)
SEEDS = {
    "polar": [
        "02ea54a2428b4552080145ffe4ffb50345ffe4ffb803", "02646c76c43cc67f0780d0ff6501e40f0803fc07ff0c13f211f11a",
        "f0010200000004190032006400c800010110000203020004000800", "f002020000050140da7f39",
    ],
    "ruuvi": ["0512fc5394c37c0004fffc040cac364200cdcbb8334c884f", "03291a1ece1efc18f94202ca0b53"],
    "witmotion": ["55617702a8fe92fe060230fecdfff8f053fcabc4", "5571640090010000000000000000000000000000"],
    "movesense": ["026303de010055ab8bbf69f78d4081dd0a41", "0164c8004d"],
    "bthome": ["400009630000000063632eb5ff6308978100"],
    "described": ["21010b0c1318000021fffdfc12", "a10364ff8000000080aabbccddeeff", "302e312c302c310a"],
    "presets": [
        b'[a]\nkind = "notify"\nchar = "0x2C1E"\ntype = "i16"\nunit = "mg"\n'.hex(),
        b'[a]\nkind = "service_data"\nmatch.service_data_uuid = "0xFEAA"\n[[a.layout]]\nheader = "21"\n'.hex(),
    ],
    "gateway": [b'{"rate_hz": 50, "unit": "g", "acc": [[0, 0, 1]]}'.hex()],
}  # fmt: skip


def check(packet: Packet | None) -> None:
    """What goes out is sound, whatever came in."""
    if packet is None:
        return
    assert packet.acc_10ug.dtype == np.int32
    assert packet.acc_10ug.ndim == 2
    assert packet.acc_10ug.shape[1] == 3
    assert len(packet.acc_10ug) <= 2048
    assert packet.invalid >= 0
    assert packet.rate_hz > 0
    assert packet.device_ns is None or 0 <= packet.device_ns < 2**63
    assert packet.battery_pct is None or 0 <= packet.battery_pct <= 100


def decode_alone(family: Family, payload: bytes, factor: float | None = None) -> None:
    """One packet out of context."""
    with suppress(DecodeError):
        check(family.decode(payload, factor))


def feed(driver: GattDriver, offered: Offered, data: atheris.FuzzedDataProvider) -> None:
    """A connection: a start with any answers, then any notifications on any characteristic."""
    carry_out(driver.start(offered), data)
    chars = sorted(offered.chars, key=str)
    while data.remaining_bytes():
        piece = data.ConsumeBytes(data.ConsumeIntInRange(0, 60))
        with suppress(DecodeError, StreamEnded):
            check(driver.decode(chars[data.ConsumeIntInRange(0, len(chars) - 1)], piece))
    carry_out(driver.stop(), data)


def carry_out(steps: Steps, data: atheris.FuzzedDataProvider) -> None:
    """Steps with any answers; they must come to an end."""
    answer = None
    with suppress(StopIteration, SensorRefused):
        for _ in range(100):
            request = steps.send(answer)
            answer = b""
            if isinstance(request, Read | Ask):
                answer = data.ConsumeBytes(data.ConsumeIntInRange(0, 40))
            if isinstance(request, Ask):
                request.is_answer(answer)
        raise AssertionError("steps without end")


def fuzz_connected(name: str, *chars: Characteristic) -> Callable[[bytes], None]:
    """A family with a connection: alone, and in a session."""
    family, offered = FAMILIES[name], Offered(frozenset([BATTERY, *chars]))

    def fuzz(payload: bytes) -> None:
        decode_alone(family, payload)
        data = atheris.FuzzedDataProvider(payload)
        feed(family.create(Options(is_clipped=data.ConsumeBool())), offered, data)

    return fuzz


def fuzz_polar(payload: bytes) -> None:
    """Frames with and without factor, the session, and the control point."""
    decode_alone(FAMILIES["polar"], payload, 0.000244)
    fuzz_connected("polar", CONTROL, DATA)(payload)
    reply = Reply(1, 2)
    reply(payload)
    settings = parse_settings(payload)
    factor_of(settings)
    start_command(choose(settings, 25.0, 2.0))


def carry(family: Family, payload: bytes) -> Advert:
    """The bytes at every place of an advertisement where a family looks."""
    match = family.preset.match if isinstance(family, DescribedFamily) else None
    uuid = (match and match.service_data_uuid) or "0000fcd2-0000-1000-8000-00805f9b34fb"
    return Advert("a", None, None, manufacturer={0x0499: payload}, service_data={uuid: payload})


def hear(family: Family, payload: bytes) -> None:
    """Alone, and as two advertisements."""
    decode_alone(family, payload)
    driver = family.create(Options())
    for part in (payload, payload[1:]):
        advert = carry(family, part)
        assert 0 <= family.match(advert) <= 100
        assert family.identity(advert)
        with suppress(DecodeError):
            check(driver.decode(advert))


def fuzz_described(payload: bytes) -> None:
    """Every preset that comes with the program."""
    for family in FAMILIES.values():
        if not isinstance(family, DescribedFamily):
            continue
        if family.capabilities.is_advertised:
            hear(family, payload)
            continue
        decode_alone(family, payload)
        preset = family.preset
        pairs = [(preset.service, preset.char), *((step.service, step.char) for step in preset.on_start)]
        chars = [BATTERY, *(Characteristic(service or "s", uuid) for service, uuid in pairs if uuid)]
        feed(family.create(Options()), Offered(frozenset(chars)), atheris.FuzzedDataProvider(payload))


def fuzz_presets(payload: bytes) -> None:
    """A preset file, and what it describes."""
    with suppress(ConfigError, UnicodeDecodeError):
        for family, _ in parse_presets(payload.decode("utf-8"), "f.toml"):
            decode_alone(family, payload)


def fuzz_gateway(payload: bytes) -> None:
    """Samples over MQTT, as JSON and binary."""
    for properties in ({}, {"scale_g": "0.001", "rate_hz": "10"}):
        with suppress(DecodeError):
            decode_gateway(payload, properties)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "polar": fuzz_polar,
    "ruuvi": lambda payload: hear(FAMILIES["ruuvi"], payload),
    "witmotion": fuzz_connected("witmotion", WIT),
    "movesense": fuzz_connected("movesense", NOTIFY, WRITE),
    "bthome": lambda payload: hear(FAMILIES["bthome"], payload),
    "described": fuzz_described,
    "presets": fuzz_presets,
    "gateway": fuzz_gateway,
}


def fuzz_one(name: str, seconds: int, folder: Path) -> None:
    """In this process; never returns."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, digits in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(bytes.fromhex(digits))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1",
    ]
    options += [f"-timeout={ONE_INPUT_S}", f"-artifact_prefix={folder}/found-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """One target in a process of its own; whether nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--inside", folder, "--seconds", str(seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        counts = dict(line[6:].split(": ") for line in done.stderr.splitlines() if line.startswith("stat::"))
        covered = [line.split("cov: ")[1].split()[0] for line in done.stderr.splitlines() if "cov: " in line]
        runs, cover = counts.get("number_of_executed_units", "?").strip(), covered[-1] if covered else "?"
        print(f"{name}: {runs} inputs, {cover} branches, {'nothing found' if not done.returncode else 'FAILED'}")
        if done.returncode:
            print(done.stdout + done.stderr)
            for path in sorted(Path(folder).glob("found-*")):
                print(f"{name}: {path.name}: {path.read_bytes().hex()}")
        return not done.returncode


def main() -> None:
    """Each target for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all of them if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    if given.inside:
        fuzz_one(names[0], given.seconds, given.inside)
    share_s = max(given.seconds // len(names), 1)
    results = [run(name, share_s) for name in names]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
