"""The sample configuration of mosquitto: accepted, encrypted, enough for the daemon, too little for everybody else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "config/mosquitto"
TOOLS = ("openssl", "mosquitto_passwd", "mosquitto_sub", "mosquitto_pub")
USERS = ("posturewatch", "homeassistant", "me", "gateway", "display")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def make_certificates(folder: Path) -> None:
    """As the page for operators says."""
    ca = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=home -keyout ca.key -out ca.crt"
    server = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1 "
        "-addext basicConstraints=critical,CA:false -CA ca.crt -CAkey ca.key -keyout server.key -out server.crt"
    )
    for line in (ca, server):
        subprocess.run(line.split(), cwd=folder, check=True, capture_output=True)


@dataclass
class Broker:
    """The sample, running."""

    port: int
    folder: Path

    def words(self, tool: str, user: str) -> list[str]:
        login = ["-u", user, "-P", f"secret-{user}", "--cafile", str(self.folder / "ca.crt")]
        return [tool, "-V", "5", "-h", "127.0.0.1", "-p", str(self.port), *login]

    def hear(self, user: str, topic: str, *options: str) -> list[tuple[str, str]]:
        """Topics and payloads that this user gets."""
        words = [*self.words("mosquitto_sub", user), "-q", "1", "-t", topic, "-F", "%t %p", *options]
        said = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30).stdout
        return [(topic, payload) for topic, _, payload in (line.partition(" ") for line in said.splitlines())]

    def say(self, user: str, topic: str, payload: str) -> None:
        words = [*self.words("mosquitto_pub", user), "-q", "1", "-t", topic, "-m", payload]
        subprocess.run(words, check=True, capture_output=True, timeout=30)


@pytest.fixture
def sample(start_broker, tmp_path) -> Broker:
    """All paths of the sample replaced; listener and persistence come from the fixture."""
    make_certificates(tmp_path)
    for user in USERS:
        new = [] if (tmp_path / "passwords").exists() else ["-c"]
        words = ["mosquitto_passwd", *new, "-b", "passwords", user, f"secret-{user}"]
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(SAMPLES / "posturewatch.acl", tmp_path)
    text = (SAMPLES / "posturewatch.conf").read_text()
    text = re.sub(r"^(?:listener|persistence|per_listener_settings) .*\n", "", text, flags=re.MULTILINE)
    text, count = re.subn(r"/etc/mosquitto/(?:certs/)?([\w.]+)", rf"{tmp_path}/\1", text)
    assert count >= 5
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return Broker(start_broker(text).port, tmp_path)


@pytest.fixture
def daemon(sample, start, tmp_path):
    """A simulated wearer at this broker."""
    (tmp_path / "daemon-password").write_text("secret-posturewatch\n")
    path = tmp_path / "posturewatch.toml"
    path.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {sample.port}\nusername = "posturewatch"\ntls = true\n'
        'password_file = "daemon-password"\ntls_cafile = "ca.crt"\n'
        '[[wearer]]\nid = "me"\nreminding = { quiet_hours = [] }\n'
        '[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\nsource = "simulated"\n'
    )
    return start("run", "--config", str(path))


def test_each_user_gets_what_the_list_says_and_no_more(sample, daemon):
    ((_, state),) = sample.hear("homeassistant", "posturewatch/wearer/me/state", "-C", "1", "-W", "20")
    assert json.loads(state)["simulated"] is True
    assert {topic for topic, _ in sample.hear("homeassistant", "homeassistant/#", "-W", "1")} != set()
    seen = {topic for topic, _ in sample.hear("display", "#", "-W", "2")}
    assert seen == {"posturewatch/wearer/me/state", "posturewatch/wearer/me/availability"}
    assert sample.hear("gateway", "#", "-W", "1") == []
    mine = {topic for topic, _ in sample.hear("me", "#", "-W", "2")}
    assert "posturewatch/bridge/info" not in mine
    assert "posturewatch/wearer/me/settings" in mine
    assert "not authorised" not in daemon.say().lower()
    assert "ERROR" not in daemon.say()


@pytest.mark.usefixtures("daemon")
def test_only_who_may_ask_is_heard(sample):
    sample.hear("homeassistant", "posturewatch/wearer/me/state", "-C", "1", "-W", "20")

    def ask_as(user: str, minutes: float) -> None:
        sample.say(user, "posturewatch/wearer/me/set/static_limit_min", str(minutes))

    for user, minutes in (("gateway", 11), ("display", 12), ("me", 13), ("homeassistant", 14)):
        ask_as(user, minutes)
        ((_, settings),) = sample.hear("homeassistant", "posturewatch/wearer/me/settings", "-C", "1", "-W", "5")
        expected = minutes if user in ("me", "homeassistant") else 20
        if json.loads(settings)["static_limit_min"] != expected:  # the answer may still be on its way
            ((_, settings),) = sample.hear(
                "homeassistant", "posturewatch/wearer/me/settings", "-R", "-C", "1", "-W", "2"
            )
        assert json.loads(settings)["static_limit_min"] == expected
