"""Where a broker may be, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from posturewatch.errors import ConfigError
from posturewatch.mqtt.link import tls_context
from posturewatch.mqtt.settings import MqttSettings, TlsSettings, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.8.8.8"])
def test_this_machine_may_be_spoken_to_in_clear_text(host: str) -> None:
    assert MqttSettings(host=host).host == host


@pytest.mark.parametrize("host", ["192.168.1.2", "broker.lan", "localhost.example.org", "0.0.0.0", "fe80::1"])
def test_another_machine_needs_tls_or_a_written_word(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="insecure"):
        MqttSettings(host=host)
    assert MqttSettings(host=host, insecure=True).tls is None
    assert MqttSettings(host=host, tls=TlsSettings()).tls is not None


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"protocol": "3.1"}, "protocol"),
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"port": 70000}, "port"),
        ({"password": "x"}, "username"),
        ({"tls": TlsSettings(certfile=Path("a"))}, "keyfile"),
    ],
)
def test_what_cannot_work_is_refused_and_named(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        MqttSettings(**changes)


def test_a_password_is_not_shown() -> None:
    assert "geheim" not in repr(MqttSettings(username="anna", password="geheim"))


def test_addresses_are_written_as_people_do() -> None:
    assert MqttSettings(host="::1").address == "[::1]:1883"
    assert MqttSettings(host="localhost", port=8883).address == "localhost:8883"


def test_certificate_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        tls_context(TlsSettings(cafile=tmp_path / "missing.pem"))
    (tmp_path / "broken.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"broken\.pem"):
        tls_context(TlsSettings(cafile=tmp_path / "broken.pem"))
    with pytest.raises(ConfigError, match=r"key\.pem"):
        tls_context(TlsSettings(certfile=tmp_path / "cert.pem", keyfile=tmp_path / "key.pem"))


def test_importing_the_settings_does_not_load_the_mqtt_client() -> None:
    code = "import sys, posturewatch.mqtt.settings; sys.exit('aiomqtt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
