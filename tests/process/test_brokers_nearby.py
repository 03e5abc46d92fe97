"""Setup finds brokers that tell of themselves: a responder on 127.0.0.1, a real broker, nothing beyond this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posturewatch.mqtt.brokers_nearby import FoundBroker, find_brokers

PLAIN, SECURE, HOME_ASSISTANT = "_mqtt._tcp.local", "_secure-mqtt._tcp.local", "_home-assistant._tcp.local"
QUICK_S = 0.3
PTR, TXT, SRV, A = 12, 16, 33, 1


def packed(name: str | tuple[str, ...]) -> bytes:
    labels = name.split(".") if isinstance(name, str) else name
    return b"".join(bytes((len(label.encode()),)) + label.encode() for label in labels) + b"\0"


def record(name: str | tuple[str, ...], kind: int, data: bytes, group: int = 1) -> bytes:
    return packed(name) + struct.pack("!2HIH", kind, group, 10, len(data)) + data


class Service:
    """One offer: `kind` such as `_mqtt._tcp.local`."""

    def __init__(self, kind: str, label: str, host: str, port: int, address: str = "127.0.0.1") -> None:
        self.kind, self.host = kind, host
        self.instance = (label, *kind.split("."))
        self.pointer = record(kind, PTR, packed(self.instance))
        where = struct.pack("!3H", 0, 0, port) + packed(host)
        # some set the bit that tells a cache to forget, although nobody has one here
        self.where = record(self.instance, SRV, where, 0x8001)
        self.text = record(self.instance, TXT, b"\x09version=2")
        self.address = record(host, A, socket.inet_aton(address))

    def answer(self, name: tuple[str, ...], kind: int, brings_along: bool) -> list[bytes]:
        dotted = ".".join(name).lower()
        if kind == PTR and dotted == self.kind:
            return [self.pointer, *((self.where, self.text, self.address) if brings_along else ())]
        if kind == SRV and name == self.instance:
            return [self.where, *((self.address,) if brings_along else ())]
        return [self.address] if kind == A and dotted == self.host else []


class Responder:
    """Answers questions until closed, as RFC 1035, 6762 and 6763 say; `asked` is what was asked."""

    def __init__(self, services: Iterable[Service], *, brings_along: bool = True, noise: Iterable[bytes] = ()) -> None:
        self._services, self._brings_along, self._noise = list(services), brings_along, list(noise)
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                packet, sender = self._socket.recvfrom(9000)
            except OSError:
                return
            for noise in self._noise:
                self._socket.sendto(noise, sender)
            number, _, count = struct.unpack_from("!3H", packet)
            at, questions, found = 12, packet[12:], list[bytes]()
            for _ in range(count):
                name, at = self._name(packet, at)
                kind, group = struct.unpack_from("!2H", packet, at)
                assert group == 1
                at += 4
                self.asked.append((name, kind))
                for service in self._services:
                    found += service.answer(name, kind, self._brings_along)
            if found:
                head = struct.pack("!6H", number, 0x8400, count, len(found), 0, 0)
                self._socket.sendto(head + questions + b"".join(found), sender)

    def _name(self, packet: bytes, at: int) -> tuple[tuple[str, ...], int]:
        labels = []
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        return tuple(labels), at + 1


@pytest.fixture
def responder() -> Iterator[Callable[..., Responder]]:
    """Responders that end with the test."""
    there: list[Responder] = []

    def start(*services: Service, **how: Any) -> Responder:
        there.append(Responder(services, **how))
        return there[-1]

    yield start
    for each in there:
        each.close()


def found_by(responder: Responder) -> list[FoundBroker]:
    return asyncio.run(find_brokers(("127.0.0.1", responder.port), QUICK_S))


def test_all_kinds_are_found_in_order_by_what_this_machine_can_reach(responder: Callable[..., Responder]) -> None:
    services = (
        Service(HOME_ASSISTANT, "Home", "no_host.local", 8123),
        Service(SECURE, "Safe", "localhost", 8883),
        Service(PLAIN, "Mosquitto im Büro", "no_host.local", 1884),
        Service(PLAIN, "Far", "no_other.local", 1885, address="192.0.2.7"),
    )
    assert found_by(responder(*services)) == [
        FoundBroker("Far", "192.0.2.7", 1885),
        FoundBroker("Mosquitto im Büro", "127.0.0.1", 1884),
        FoundBroker("Safe", "localhost", 8883, tls=True),
        FoundBroker("Home", "127.0.0.1", 1883, is_guess=True),
    ]


def test_what_the_first_answer_did_not_bring_along_is_asked_for(responder: Callable[..., Responder]) -> None:
    sparse = responder(Service(PLAIN, "a.b", "no_host.local", 1884), brings_along=False)
    assert found_by(sparse) == [FoundBroker("a.b", "127.0.0.1", 1884)]
    assert (("a.b", "_mqtt", "_tcp", "local"), 33) in sparse.asked
    assert (("no_host", "local"), 1) in sparse.asked


@pytest.mark.parametrize("noise", [b"", b"\xff" * 40, b"\0\0\x84\0\0\0\0\x01\0\0\0\0\xc0\x0c", os.urandom(500)])
def test_nonsense_beside_an_answer_does_no_harm(responder: Callable[..., Responder], noise: bytes) -> None:
    noisy = responder(Service(PLAIN, "a", "no_host.local", 1884), noise=[noise])
    assert found_by(noisy) == [FoundBroker("a", "127.0.0.1", 1884)]


@pytest.mark.parametrize(
    ("label", "host", "address", "expected"),
    [
        ("\x1b[2Jevil", "no_host.local", "127.0.0.1", [FoundBroker("[2Jevil", "127.0.0.1", 1884)]),
        ("a", "-rf.local", "127.0.0.1", [FoundBroker("a", "127.0.0.1", 1884)]),
        ("a", "no_host.local", "224.0.0.1", []),
        ("a", "no_host.local", "0.0.0.0", []),
    ],
)
def test_what_a_stranger_says_is_fit_to_be_shown_and_used(
    responder: Callable[..., Responder], label: str, host: str, address: str, expected: list[FoundBroker]
) -> None:
    assert found_by(responder(Service(PLAIN, label, host, 1884, address))) == expected


def test_nobody_there_is_nothing_found_and_soon() -> None:
    begun_s = time.monotonic()
    assert asyncio.run(find_brokers(("127.0.0.1", 9), QUICK_S)) == []
    assert time.monotonic() - begun_s < 2.0


# ---------------------------------------------------------------- setup


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "home"
    folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POSTUREWATCH_", "NOTIFY_", "DBUS_"))}
    places = {
        "XDG_CONFIG_HOME": f"{folder}/config",
        "XDG_STATE_HOME": f"{folder}/state",
        "XDG_RUNTIME_DIR": f"{folder}",
    }
    return {**kept, "HOME": str(folder), **places}


def broker_of(home: dict[str, str]) -> dict[str, Any]:
    path = Path(home["XDG_CONFIG_HOME"]) / "posturewatch/posturewatch.toml"
    table: dict[str, Any] = tomllib.loads(path.read_text())["broker"]
    return table


def set_up(home: dict[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    usual = ["--simulated", "--scenario", "still-upright", "--no-test-reminder"]
    return subprocess.run(
        [sys.executable, "-m", "posturewatch", "setup", *usual, *words],
        env=home,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_unattended_it_takes_the_one_that_is_there(
    home: dict[str, str], start_broker: Callable[..., Any], responder: Callable[..., Responder]
) -> None:
    port = start_broker().port
    there = responder(Service(PLAIN, "Mosquitto", "no_host.local", port))
    done = set_up(home, "--yes", "--broker", f"find@127.0.0.1:{there.port}")
    assert done.returncode == 0, done.stderr
    assert broker_of(home) == {"host": "127.0.0.1", "port": port}
    assert f"the broker 127.0.0.1:{port} works" in done.stdout


@pytest.mark.parametrize(
    ("services", "code", "says"),
    [
        ([], 3, "no broker in this network told of itself: name it with --broker HOST:PORT"),
        ([("a", 1884), ("b", 1885)], 2, "choose with --broker from 127.0.0.1:1884, 127.0.0.1:1885"),
    ],
)
def test_unattended_it_does_not_guess(
    home: dict[str, str], responder: Callable[..., Responder], services: list[tuple[str, int]], code: int, says: str
) -> None:
    there = responder(*(Service(PLAIN, label, "no_host.local", port) for label, port in services))
    done = set_up(home, "--yes", "--broker", f"find@127.0.0.1:{there.port}")
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not Path(home["XDG_CONFIG_HOME"]).exists()


def test_an_encrypted_one_is_used_encrypted_and_a_clear_one_elsewhere_wants_a_word(
    home: dict[str, str], responder: Callable[..., Responder], start_broker: Callable[..., Any]
) -> None:
    there = responder(Service(SECURE, "Safe", "no_host.local", start_broker().port))
    done = set_up(home, "--yes", "--broker", f"find@127.0.0.1:{there.port}")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr, "without encryption it would have answered"
    there = responder(Service(PLAIN, "Far", "no_host.local", 1883, address="192.0.2.7"))
    done = set_up(home, "--yes", "--broker", f"find@127.0.0.1:{there.port}")
    assert done.returncode == 2
    assert "that is another machine: give --tls, or --insecure" in done.stderr


@pytest.mark.parametrize("where", ["find@", "find@home", "find@127.0.0.1:x", "find@127.0.0.1:99999"])
def test_whom_to_ask_has_to_be_an_address(home: dict[str, str], where: str) -> None:
    done = set_up(home, "--yes", "--broker", where)
    assert done.returncode == 2
    assert f"--broker {where}: write it like find@192.168.1.5" in done.stderr


def test_whoever_is_asked_chooses_from_a_list(
    home: dict[str, str], start_broker: Callable[..., Any], responder: Callable[..., Responder]
) -> None:
    port = start_broker().port
    there = responder(*(Service(PLAIN, name, "no_host.local", at) for name, at in (("A", port + 1), ("B", port))))
    words = ["--placement", "chest", "--no-desktop", "--no-service", "--broker", f"find@127.0.0.1:{there.port}"]
    done = set_up(home, *words, given="3\n2\n\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"   2  127.0.0.1:{port}, 'B', without encryption" in done.stdout
    assert "please answer with one of 1, 2, elsewhere" in done.stdout
    assert broker_of(home)["port"] == port


def test_a_search_in_vain_leads_back_to_the_question(home: dict[str, str], responder: Callable[..., Responder]) -> None:
    words = ["--placement", "chest", "--no-desktop", "--no-service", "--broker", f"find@127.0.0.1:{responder().port}"]
    done = set_up(home, *words, given="embedded\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none told of itself" in done.stdout
    assert "look for one in this network" not in done.stdout
    assert broker_of(home)["embedded"] is True


def test_a_search_is_offered_and_never_made_unasked(home: dict[str, str]) -> None:
    words = ["--placement", "chest", "--no-desktop", "--no-service"]
    done = set_up(home, *words, given="embedded\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "find  look for one in this network" in done.stdout
    assert "asking this network" not in done.stdout
    done = set_up(home, "--yes")
    assert "asking this network" not in done.stdout
