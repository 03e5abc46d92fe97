"""TLS with a broker: certificates are verified, ours is shown when asked for."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.errors import BrokerRefused, BrokerUnavailable
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.settings import TlsSettings
from posturewatch.types import Message

if TYPE_CHECKING:
    from pathlib import Path

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")


def certificate(folder: Path, name: str, *, authority: str | None = None) -> None:
    """A key and a certificate, signed by itself or by `authority`."""
    assert OPENSSL is not None
    command = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if authority is None:
        command += ["-addext", "keyUsage=critical,keyCertSign"]
    else:
        command += ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    try:
        for name in ("ours", "theirs"):
            certificate(folder, name)
        for name in ("server", "client"):
            certificate(folder, name, authority="ours")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this openssl cannot sign certificates in one step: {error.stderr.decode()[-80:]}")
    return folder


def tls_config(folder: Path, extra: str = "") -> str:
    return f"cafile {folder}/ours.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n{extra}"


@pytest.mark.asyncio
async def test_a_trusted_broker_is_spoken_to(start_mosquitto: Any, tmp_path: Path, certificates: Path) -> None:
    with start_mosquitto(tmp_path, tls_config(certificates)) as broker:
        settings = broker.settings(tls=TlsSettings(cafile=certificates / "ours.pem"))
        async with connected(settings) as link:
            await link.publish(Message("a/b", b"x"))


@pytest.mark.asyncio
async def test_a_broker_of_unknown_authority_is_not_trusted(
    start_mosquitto: Any, tmp_path: Path, certificates: Path
) -> None:
    with start_mosquitto(tmp_path, tls_config(certificates)) as broker:
        for tls in (TlsSettings(cafile=certificates / "theirs.pem"), TlsSettings()):
            with pytest.raises(BrokerRefused, match="not trusted"):
                async with connected(broker.settings(tls=tls)):
                    pass


@pytest.mark.asyncio
async def test_a_client_certificate_opens_the_door(start_mosquitto: Any, tmp_path: Path, certificates: Path) -> None:
    with start_mosquitto(tmp_path, tls_config(certificates, "require_certificate true")) as broker:
        ours = TlsSettings(certificates / "ours.pem", certificates / "client.pem", certificates / "client.key")
        async with connected(broker.settings(tls=ours)) as link:
            await link.publish(Message("a/b", b"x"))
        with pytest.raises((BrokerRefused, BrokerUnavailable)):
            async with connected(broker.settings(tls=TlsSettings(cafile=certificates / "ours.pem"))) as link:
                await link.publish(Message("a/b", b"x"))


@pytest.mark.asyncio
async def test_tls_to_a_port_without_it_is_one_clear_line(
    start_mosquitto: Any, tmp_path: Path, certificates: Path
) -> None:
    with start_mosquitto(tmp_path) as broker:
        settings = broker.settings(tls=TlsSettings(cafile=certificates / "ours.pem"), timeout_s=2.0)
        with pytest.raises((BrokerRefused, BrokerUnavailable), match="broker"):
            async with connected(settings):
                pass


@pytest.mark.asyncio
async def test_something_that_is_no_broker_is_one_clear_line(start_mosquitto: Any, tmp_path: Path) -> None:
    with start_mosquitto(tmp_path) as broker, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = broker.settings(port=silent.getsockname()[1], timeout_s=0.5)
        with pytest.raises(BrokerUnavailable, match="is it an MQTT broker"):
            async with connected(settings):
                pass
