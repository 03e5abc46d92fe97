"""The first run as a person has it: at a terminal or unattended, in a home of its own, with a real broker."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posturewatch.cli import group
from posturewatch.errors import ConfigError, MissingExtra, UsageError
from posturewatch.setting_up.service import render_sample_unit, render_unit

PROGRAM = [sys.executable, "-m", "posturewatch"]
NOTIFICATIONS = Path(__file__).with_name("notification_service.py")
BUS_CONFIG = """<busconfig><type>session</type><listen>{}</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
"""
PATIENCE_S = 30.0
LOOK_S = 1.0
NOWHERE = "hci:unix:/nowhere/radio"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who just came."""
    folder = tmp_path / "home"
    folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POSTUREWATCH_", "NOTIFY_", "DBUS_"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder),
    }


def config_of(home: dict[str, str]) -> Path:
    return Path(home["XDG_CONFIG_HOME"]) / "posturewatch" / "posturewatch.toml"


def state_of(home: dict[str, str]) -> Path:
    return Path(home["XDG_STATE_HOME"]) / "posturewatch"


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def set_up(home: dict[str, str], *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "setup", *words],
        env=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


class Terminal:
    """A person at a terminal: reads until something is asked, types an answer."""

    def __init__(self, home: dict[str, str], *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, "setup", *words], env=home, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""
        self._read_to = 0

    def expect(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown[self._read_to :]:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._ours, 4096).decode()
                except OSError:  # the other side is closed
                    assert text in self.shown[self._read_to :], self.shown
        self._read_to = self.shown.index(text, self._read_to) + len(text)

    def type(self, text: str) -> None:
        os.write(self._ours, f"{text}\n".encode())

    def answer(self, question: str, answer: str) -> None:
        self.expect(question)
        self.type(answer)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def at_terminal(home: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(*words: str) -> Terminal:
        terminals.append(Terminal(home, *words))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def guarded(start_broker: Callable[..., Any], tmp_path: Path) -> Any:
    """A broker that wants a name and a password."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "anna", "open sesame"], check=True, capture_output=True)
    return start_broker(f"allow_anonymous false\npassword_file {passwords}")


@pytest.fixture
def desktop(home: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a session with a real bus and a notification service, whose calls are in the file `screen`."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed: apt-get install dbus-daemon")
    address = f"unix:path={tmp_path}/bus"
    (tmp_path / "bus.conf").write_text(BUS_CONFIG.format(address))
    command = ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--nopidfile", "--print-address=1"]
    bus = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert bus.stdout is not None
    assert bus.stdout.readline()  # it is there
    with (tmp_path / "screen").open("wb") as screen:
        service = subprocess.Popen([sys.executable, str(NOTIFICATIONS), address], stdin=subprocess.PIPE, stdout=screen)
    deadline = time.monotonic() + PATIENCE_S
    while "ready" not in (tmp_path / "screen").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield {**home, "DBUS_SESSION_BUS_ADDRESS": address}
    for process in (service, bus):
        process.kill()
        process.communicate()


def test_unattended_it_reaches_a_published_state_and_a_reminder_in_time(home: dict[str, str]) -> None:
    began_s = time.monotonic()
    done = set_up(home, "--simulated", "--yes")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began_s < 60
    assert "first state, on posturewatch/wearer/me/state: wear unknown" in done.stdout
    assert "with samples: wear unknown, motion" in done.stdout
    assert "test reminder, on posturewatch/wearer/me/reminder: This is a test reminder" in done.stdout
    assert "no reminders at 20:00-07:00; at any hour with quiet_hours = []" in done.stdout
    assert "no service" in done.stdout
    assert "reminders are not shown on a desktop: none answers in this session" in done.stdout
    text = config_of(home).read_text()
    assert tomllib.loads(text)["wearer"][0]["sensor"] == [
        {"id": "chest", "placement": "chest", "source": "simulated", "scenario": "office-day"}
    ]
    assert "# one posture this long: change something (5 to 60)\n#static_limit_min = 20.0" in text
    assert json.loads((state_of(home) / "chest.calibration.json").read_text())["grade"] == "B"
    check = subprocess.run([*PROGRAM, "config", "check"], env=home, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


def test_at_a_terminal_a_wrong_password_is_said_and_asked_again_and_never_shown(
    home: dict[str, str], guarded: Any, at_terminal: Callable[..., Terminal]
) -> None:
    person = at_terminal("--simulated", "--no-test-reminder", "--no-service")
    person.answer("where is it worn?", "elbow")
    person.answer("please answer with one of", "chest")
    person.answer("which MQTT broker?", "yours")
    person.answer("its address", f"localhost:{guarded.port}")
    person.answer("user name there", "anna")
    person.answer("password (it is not shown)", "guess")
    person.expect("refuses us: not authorized: check username, password")
    person.answer("try again?", "y")
    person.answer("its address", f"localhost:{guarded.port}")
    person.answer("user name there", "anna")
    person.answer("password (it is not shown)", "open sesame")
    person.expect("works: logged in with MQTT 5, wrote and read a message")
    person.expect("ready.")
    assert person.process.wait(PATIENCE_S) == 0
    assert "sesame" not in person.shown
    assert "guess" not in person.shown
    broker = tomllib.loads(config_of(home).read_text())["broker"]
    assert broker == {"host": "localhost", "port": guarded.port, "username": "anna", "password_file": "mqtt-password"}
    password = config_of(home).with_name("mqtt-password")
    assert password.read_text() == "open sesame\n"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


def test_unattended_a_wrong_password_ends_it_and_nothing_is_written(
    home: dict[str, str], guarded: Any, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess\n")
    broker = ["--broker", f"localhost:{guarded.port}", "--username", "anna", "--password-file", str(wrong)]
    done = set_up(home, "--simulated", "--yes", *broker)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"posturewatch: broker localhost:{guarded.port} refuses us: not authorized: check username, password "
        "and its access list"
    ]
    assert files_below(Path(home["HOME"])) == []


def test_without_an_adapter_it_says_what_to_do_and_offers_other_ways(
    home: dict[str, str], at_terminal: Callable[..., Terminal]
) -> None:
    done = set_up(home, "--yes", "--radio", NOWHERE)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("posturewatch: radio unix:/nowhere/radio cannot be reached")
    assert files_below(Path(home["HOME"])) == []

    person = at_terminal("--radio", NOWHERE)
    person.expect("no Bluetooth: radio unix:/nowhere/radio cannot be reached")
    person.answer("what now?", "s")
    person.expect("where is it worn?")


def test_ctrl_c_leaves_nothing_behind(home: dict[str, str], at_terminal: Callable[..., Terminal]) -> None:
    person = at_terminal("--simulated", "--placement", "chest")
    person.expect("which MQTT broker?")
    person.process.send_signal(signal.SIGINT)
    assert person.process.wait(PATIENCE_S) == 130
    assert files_below(Path(home["HOME"])) == []


def test_a_former_configuration_is_gone_on_from_and_kept(home: dict[str, str]) -> None:
    path = config_of(home)
    path.parent.mkdir(parents=True)
    former = (
        '# mine\n[broker]\nport = 1893\n[[wearer]]\nid = "you"\nstatic_limit_min = 25\n'
        '[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n'
    )
    path.write_text(former)
    done = set_up(home, "--simulated", "--yes", "--no-test-reminder")
    assert done.returncode == 0, done.stderr
    assert path.with_name("posturewatch.toml.backup-1").read_text() == former
    tree = tomllib.loads(path.read_text())
    assert tree["broker"] == {"port": 1893}
    assert [(w["id"], [s["id"] for s in w["sensor"]]) for w in tree["wearer"]] == [
        ("you", ["chest"]),
        ("me", ["me-chest"]),
    ]
    assert tree["wearer"][0]["static_limit_min"] == 25
    again = set_up(home, "--yes", "--no-test-reminder")  # keeps everything
    assert again.returncode == 0, again.stderr
    assert tomllib.loads(path.read_text()) == tree
    assert not path.with_name("posturewatch.toml.backup-2").exists()

    path.write_text("[[wearer]]\nid = 5\n")
    broken = set_up(home, "--simulated", "--yes")
    assert broken.returncode == 2
    assert f"{path}:2" in broken.stderr
    assert path.read_text() == "[[wearer]]\nid = 5\n"


def test_a_folder_that_takes_nothing_and_a_full_disk_change_nothing(home: dict[str, str]) -> None:
    done = set_up(home, "--simulated", "--yes", "--config", "/proc/posturewatch/my.toml")
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "nothing was changed" in done.stderr
    assert files_below(Path(home["HOME"])) == []

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the calibration fits, the configuration does not

    full = set_up(home, "--simulated", "--yes", preexec_fn=fill)
    assert full.returncode == 3
    assert "nothing was changed" in full.stderr
    assert files_below(Path(home["HOME"])) == []


def test_nobody_to_ask_is_said(home: dict[str, str]) -> None:
    done = set_up(home, "--simulated")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "posturewatch: nobody answers on standard input: use --yes for the usual answers"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--simulated", "--gateway"], "only one of them"),
        (["--simulated", "--wearer", "Anna"], "--wearer Anna: 1 to 32 of the characters a-z 0-9 _ -"),
        (["--simulated", "--placement", "elbow"], "--placement elbow: allowed are chest"),
        (["--simulated", "--scenario", "nope"], "no scenario 'nope'"),
        (["--gateway", "--broker", "192.0.2.1:1883"], "--broker 192.0.2.1:1883: that is another machine: give --tls"),
        (["--gateway", "--broker", "desk:port"], "write it like localhost:1883"),
        (["--gateway", "--tls-cafile", "ca.pem"], "--tls-cafile needs --tls"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_one_line(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, home[name])
    with pytest.raises((UsageError, ConfigError)) as refused:
        group.main(["setup", "--yes", *words], standalone_mode=False)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert files_below(Path(home["HOME"])) == []


def is_on_desktop(home: dict[str, str]) -> bool | None:
    on: bool | None = tomllib.loads(config_of(home).read_text()).get("desktop", {}).get("enabled")
    return on


def test_a_desktop_that_answers_is_offered_and_the_test_reminder_is_seen_there(
    home: dict[str, str], desktop: dict[str, str], tmp_path: Path
) -> None:
    person = Terminal(desktop, "--simulated", "--placement", "chest", "--broker", "embedded", "--no-service")
    try:
        person.answer("show reminders on this desktop? (y/n) [y]", "")
        person.expect("reminders are shown on this desktop")
        person.answer("show a test reminder?", "")
        person.expect("it should be on this desktop, too: look for it; then press Enter")
        time.sleep(LOOK_S)
        person.type("")
        person.expect("ready.")
        assert person.process.wait(PATIENCE_S) == 0
    finally:
        person.close()
    assert is_on_desktop(home) is True
    assert "This is a test reminder" in (tmp_path / "screen").read_text()


def test_unattended_a_desktop_is_used_on_request_only_and_kept_until_it_is_refused(
    home: dict[str, str], desktop: dict[str, str]
) -> None:
    words = ["--simulated", "--yes", "--no-test-reminder"]
    for session, more, is_on, told in (
        (desktop, [], None, "to see them there: posturewatch setup --desktop"),
        (home, ["--desktop"], True, "no desktop answers in this session; reminders are shown when the daemon runs in"),
        (desktop, [], True, "reminders are shown on this desktop"),
        (desktop, ["--no-desktop"], False, "ready."),
    ):
        done = set_up(session, *words, *more)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        assert is_on_desktop(home) is is_on


def test_without_its_extra_the_desktop_is_a_line_or_if_asked_for_a_refusal(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, home[name])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "desktop_notifier" else find(name))
    words = ["setup", "--yes", "--simulated", "--no-test-reminder"]
    with pytest.raises(MissingExtra, match=r"--desktop: .* pip install 'posturewatch\[desktop\]'"):
        group.main([*words, "--desktop"], standalone_mode=False)
    assert files_below(Path(home["HOME"])) == []
    group.main(words, standalone_mode=False)
    assert "pip install 'posturewatch[desktop]', then posturewatch setup --desktop" in capsys.readouterr().out


def test_the_service_is_installed_through_systemctl(home: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "systemctl.log"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    (programs / "systemctl").chmod(0o755)
    with_systemd = {**home, "PATH": f"{programs}:{home['PATH']}"}
    done = set_up(with_systemd, "--simulated", "--yes", "--service", "--no-test-reminder")
    assert done.returncode == 0, done.stderr
    asked = [line.removeprefix("--user ") for line in log.read_text().splitlines()]
    unit = "posturewatch.service"
    assert asked == ["show-environment", "daemon-reload", f"enable {unit}", f"restart {unit}"]
    text = (Path(home["XDG_CONFIG_HOME"]) / "systemd" / "user" / unit).read_text()
    assert f"run --config {config_of(home)}\n" in text
    assert {"Type=notify", "WatchdogSec=60", "NoNewPrivileges=yes"} <= set(text.splitlines())

    (programs / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    refused = set_up(with_systemd, "--simulated", "--yes", "--service", "--no-test-reminder")
    assert refused.returncode == 3
    assert "no bus; without it, start by hand" in refused.stderr


def test_beside_a_running_daemon_the_service_is_installed_and_told_how_it_takes_over(
    home: dict[str, str], tmp_path: Path, start_broker: Callable[..., Any], start: Callable[..., Any]
) -> None:
    broker = start_broker()
    words = ["--yes", "--no-test-reminder"]
    first = set_up(home, "--simulated", "--broker", f"127.0.0.1:{broker.port}", *words)
    assert first.returncode == 0, first.stderr
    daemon = start("run", environ=home)
    while "connected" not in daemon.say():
        time.sleep(0.05)
    log, programs = tmp_path / "systemctl.log", tmp_path / "programs"
    programs.mkdir()
    with_systemd = {**home, "PATH": f"{programs}:{home['PATH']}"}

    def install(main_process: int, *more: str) -> tuple[str, list[str]]:
        show = f'[ "$2" = show ] && echo {main_process}'
        (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {log}\n{show}\nexit 0\n')
        (programs / "systemctl").chmod(0o755)
        log.write_text("")
        done = set_up(with_systemd, *words, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout, [line.split()[1] for line in log.read_text().splitlines()]

    told, asked = install(0, "--service")
    assert f"kill {daemon.process.pid}; systemctl --user start posturewatch.service" in told
    assert asked == ["show-environment", "show", "daemon-reload", "enable"]
    assert (Path(home["XDG_CONFIG_HOME"]) / "systemd/user/posturewatch.service").exists()
    told, asked = install(0)
    assert "no service; the daemon that runs goes on" in told
    assert "enable" not in asked
    told, asked = install(daemon.process.pid, "--service")  # it is the service: what changed is used
    assert asked == ["show-environment", "show", "daemon-reload", "enable", "restart"]
    told, asked = install(daemon.process.pid)
    assert asked == ["show-environment", "show"]


def test_the_shipped_unit_is_the_installed_one_and_systemd_knows_every_line_of_it(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "config/systemd/posturewatch.service"
    assert shipped.read_text() == render_sample_unit()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "posturewatch.service"
    unit.write_text(render_unit([sys.executable, "-m", "posturewatch", "run", "--config", "/my files/50 %.toml"]))
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in verify.stderr.splitlines() if unit.name in line]
    assert about_us == []


def test_a_bluetooth_sensor_is_found_by_its_address(home: dict[str, str]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="air"))  # short enough for a socket
    air = folder / "air"
    simulator = subprocess.Popen(
        [*PROGRAM, "simulate", "still-upright", "--transport", f"unix:{air}", "--device", "polar_h10"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert simulator.stdout is not None
        assert any(b'"ready"' in line for line in simulator.stdout)
        words = ["--yes", "--radio", f"hci:unix:{air}", "--no-calibrate", "--no-test-reminder"]
        done = set_up(home, *words, "--sensor", "c0:5e:00:00:00:01", "--placement", "upper_back")
        assert done.returncode == 0, done.stderr
        tree = tomllib.loads(config_of(home).read_text())
        assert tree["bluetooth"] == {"radio": f"hci:unix:{air}"}
        assert tree["wearer"][0]["sensor"] == [
            {
                "id": "upper_back",
                "placement": "upper_back",
                "source": "ble",
                "family": "polar",
                "address": "C0:5E:00:00:00:01",
            }
        ]
    finally:
        simulator.kill()
        simulator.communicate()
        shutil.rmtree(folder)


def test_beside_a_running_daemon_it_changes_one_thing_and_lets_it_read_that(
    home: dict[str, str], start_broker: Callable[..., Any], start: Callable[..., Any], listen: Callable[..., Any]
) -> None:
    broker = start_broker()
    words = ["--yes", "--no-test-reminder"]
    first = set_up(home, "--simulated", "--scenario", "still-upright", "--broker", f"127.0.0.1:{broker.port}", *words)
    assert first.returncode == 0, first.stderr
    ears = listen(broker.port)
    start("run", environ=home)
    ears.until("me/state", lambda state: state["motion"] != "unknown")
    heard = len(ears.heard)
    second = set_up(home, "--simulated", "--placement", "thigh", "--add", "--yes", "--test-reminder")
    assert second.returncode == 0, second.stderr
    assert "a daemon runs already" in second.stdout
    assert "starting the daemon for a moment" not in second.stdout
    assert "test reminder, on posturewatch/wearer/me/reminder" in second.stdout
    ears.until("bridge/state", lambda word: word == "online", since=heard)
    sensors = tomllib.loads(config_of(home).read_text())["wearer"][0]["sensor"]
    assert [sensor["id"] for sensor in sensors] == ["chest", "thigh"]
