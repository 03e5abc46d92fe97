"""An MQTT broker for people without one: a child process that listens on this machine only.

MQTT 5 on one port and MQTT 3.1.1 on the next; both see the same messages.  It is the `iotcore` package (extra
`[broker]`), always with a configuration of ours, since its own defaults listen to the whole network.  It keeps
retained messages in memory: the daemon says them again when the broker is new.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import secrets
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.errors import ConfigError, MissingExtra, SinkError
from posturewatch.mqtt.settings import MqttSettings
from posturewatch.processes import end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 1883
USERNAME = "posturewatch"
PASSWORD_FILE = "broker-password"
MAX_PAYLOAD_BYTES = 65_536  # a discovery message of twelve entities has 5 kB
SEGMENT_BYTES, SEGMENTS = 16 * 1024 * 1024, 3  # smaller ones lose messages in a fast flood
READY_S = 30.0  # one that ended is noticed at once; a machine that boots is slow
STOP_S = 3.0
POLL_S = 0.03
PAIR_TRIES = 50


class PortInUse(SinkError):  # says what happened, like the others
    """Somebody else listens where our broker should."""


class BrokerDied(SinkError):  # says what happened, like the others
    """The embedded broker ended by itself."""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running broker: where it is, and the password of this installation."""

    port: int  # MQTT 5
    port_311: int
    username: str
    password: str = field(repr=False)
    pid: int

    def settings(self, **changes: object) -> MqttSettings:
        """How to connect to it; `changes` are fields of `MqttSettings`."""
        fields: dict[str, object] = {
            "host": LOOPBACK,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            **changes,
        }
        return MqttSettings(**fields)  # type: ignore[arg-type]  # checked by the record itself


@contextlib.asynccontextmanager
async def embedded_broker(
    folder: Path, *, port: int | None = DEFAULT_PORT, host: str = LOOPBACK
) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker while the block runs; `port=None` takes any free pair of ports.

    `folder` keeps the password (0600).  The broker ends with the block, and also when this process is killed.
    """
    if host != LOOPBACK:
        raise ConfigError(f"the embedded broker listens on {LOOPBACK} only, not {host}: use mosquitto for a network")
    if importlib.util.find_spec("iotcore") is None:
        raise MissingExtra("the embedded broker is not installed: pip install 'posturewatch[broker]'")
    password = await asyncio.to_thread(installation_password, folder)
    port_5, port_311 = free_pair() if port is None else (port, port + 1)
    for wanted in (port_5, port_311):
        check_free(wanted)
    config = await asyncio.to_thread(_write_private, folder / f"broker-{port_5}.toml", toml(port_5, port_311, password))
    try:
        process = await _start(config)
        try:
            await _until_ready(process, (port_5, port_311))
            config.unlink()  # it holds the password, and has been read
            yield EmbeddedBroker(port_5, port_311, USERNAME, password, process.pid)
        finally:
            await _stop(process)
    finally:
        config.unlink(missing_ok=True)


def installation_password(folder: Path) -> str:
    """The password of this installation, made at the first call and readable by its owner only."""
    path = folder / PASSWORD_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            path.chmod(0o600)
            password = path.read_text(encoding="ascii").strip()
            if password:
                return password
        password = secrets.token_urlsafe(18)
        _write_private(path, password + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot keep the broker's password ({error}); choose another state folder"
        ) from error
    return password


def settings_from_outside(folder: Path, port: int | None) -> MqttSettings:
    """How another process of this user reaches the embedded broker of a state folder, if one runs."""
    path = folder / PASSWORD_FILE
    try:
        password = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: no password of an embedded broker can be read: start one with `posturewatch run`, "
            "or name another broker"
        ) from error
    return MqttSettings(host=LOOPBACK, port=port or DEFAULT_PORT, username=USERNAME, password=password)


def toml(port_5: int, port_311: int, password: str) -> str:
    """The configuration of the broker: loopback, one listener per protocol version, one user."""
    head = (
        "id = 0\n\n[router]\nid = 0\nmax_connections = 100\nmax_outgoing_packet_count = 200\n"
        f"max_segment_size = {SEGMENT_BYTES}\nmax_segment_count = {SEGMENTS}\n"
    )
    return head + "".join(_listener(v, p, password) for v, p in (("v5", port_5), ("v4", port_311)))


def _listener(version: str, port: int, password: str) -> str:
    return (
        f'\n[{version}.1]\nname = "{version}"\nlisten = "{LOOPBACK}:{port}"\nnext_connection_delay_ms = 1\n'
        f"\n[{version}.1.connections]\nconnection_timeout_ms = 5000\nmax_payload_size = {MAX_PAYLOAD_BYTES}\n"
        "max_inflight_count = 100\ndynamic_filters = true\n"
        f"\n[{version}.1.connections.auth]\n{USERNAME} = {json.dumps(password)}\n"
    )


def check_free(port: int) -> None:
    """`PortInUse` unless our broker could listen there."""
    if not 1 <= port <= 65535:  # noqa: PLR2004  # the range of TCP ports
        raise ConfigError(f"embedded broker port {port}: allowed are 1 to 65534, the next one serves MQTT 3.1.1")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the broker does
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            raise PortInUse(
                f"port {port} on {LOOPBACK} is not free ({error.strerror}): another broker may be running; "
                "use that one, or choose another port"
            ) from error


def free_pair() -> tuple[int, int]:
    """Two free ports, one after the other."""
    for _ in range(PAIR_TRIES):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        with contextlib.suppress(PortInUse, ConfigError):
            check_free(port)
            check_free(port + 1)
            return port, port + 1
    raise PortInUse(f"no two free ports in a row on {LOOPBACK}; name one")


async def _start(config: Path) -> asyncio.subprocess.Process:
    """The child has a session of its own, so that Ctrl-C reaches us first and the last messages still get out."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "posturewatch.mqtt.embedded_broker",
        str(config),
        stdin=asyncio.subprocess.PIPE,  # closes when we die, however we die
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def _until_ready(process: asyncio.subprocess.Process, ports: tuple[int, int]) -> None:
    try:
        async with asyncio.timeout(READY_S):
            for port in ports:
                while not await _answers(port):
                    if process.returncode is not None:
                        raise BrokerDied(f"the embedded broker did not start: {await _last_words(process)}")
                    await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise BrokerDied(f"the embedded broker does not listen on port {ports[0]} after {READY_S:g} s") from error
    await asyncio.sleep(POLL_S)
    if process.returncode is not None:  # then somebody else answered
        raise PortInUse(f"port {ports[0]} was taken while the broker started; choose another port")


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _last_words(process: asyncio.subprocess.Process) -> str:
    stream = process.stderr
    text = (await stream.read()).decode(errors="replace").strip() if stream is not None else ""
    return text.splitlines()[-1] if text else f"exit code {process.returncode}"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End it, or say that it ended before."""
    if process.returncode is not None:
        log.warning("the embedded broker ended by itself (exit code %s)", process.returncode)
        return
    await end(process, STOP_S)


def _write_private(path: Path, text: str) -> Path:
    """Write a file that nobody else may read, not even for a moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
    return path


def _serve(config: str) -> None:
    """The child: serve until the parent's end of our standard input closes."""
    import threading  # noqa: PLC0415  # only the child needs these

    from iotcore.iotcore import IotCoreBroker  # noqa: PLC0415  # an optional extra

    def leave_with_the_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)  # it calls every packet an error
    broker = IotCoreBroker(config_path=config)
    broker.check_ports()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  # nobody reads what it says from here on, so no pipe may fill
        os.dup2(nowhere.fileno(), 2)
    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    broker.run_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
