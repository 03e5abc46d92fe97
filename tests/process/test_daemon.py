"""The daemon starts, says what is wrong, goes on without a broker, and ends in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from posturewatch.mqtt.embedded_broker import free_pair
from posturewatch.recording.packet_log import RecordingReader
from posturewatch.types import SampleBatch

STATE = "wearer/me/state"
BRIDGE = "bridge/state"


def ask(program, *arguments):
    """Another run of the command line, in the surroundings of `program`'s."""
    found = subprocess.run(
        [sys.executable, "-m", "posturewatch", *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(program.errors.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return found.returncode, found.stdout, found.stderr


def test_without_any_configuration_it_says_what_to_do_in_one_line(start):
    program = start("run")
    assert program.wait() == 2
    (line,) = program.say().splitlines()
    assert line.startswith("posturewatch: no configuration")
    assert "--config" in line
    assert "posturewatch demo" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[broker]\nhots = 'x'\n", ":2: broker.hots: unknown key; did you mean 'host'?"),
        ("[[wearer]]\nid = 'me'\n", "wearer[0].sensor"),
        ("[[wearer]]\nid = 'me'\nstatic_limit_min = 2\n[[wearer.sensor]]\nid = 'a'\nplacement = 'chest'\n", ":3: "),
        ("[broker]\nhost = 'example.org'\n", "tls = true"),
        ("[broker\n", ":1: not TOML"),
        ("", "nobody to watch over"),
        (
            "[[wearer]]\nid = 'me'\n[[wearer.sensor]]\nid = 'a'\nplacement = 'chest'\nsource = 'simulated'\n"
            "scenario = 'nowhere'\n[broker]\nhost = 'localhost'\nport = 1\n",
            "sensor a: no scenario 'nowhere'",
        ),
    ],
)
def test_a_wrong_configuration_is_named_with_its_place_and_costs_exit_code_2(start, tmp_path, text, told):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    program = start("run", "--config", str(path), environ={"POSTUREWATCH_STORAGE__FOLDER": str(tmp_path / "kept")})
    assert program.wait() == 2
    assert told in program.say()
    assert "Traceback" not in program.say()


def test_check_finds_out_without_running(start, configure):
    program = start("run", "--check", "--config", str(configure(1)))
    assert program.wait() == 0


def test_a_broker_that_refuses_costs_exit_code_3_and_one_line(start, configure, start_broker):
    broker = start_broker("allow_anonymous false")
    program = start("run", "--config", str(configure(broker.port)))
    assert program.wait() == 3
    last = program.say().splitlines()[-1]
    assert last.startswith(f"posturewatch: broker 127.0.0.1:{broker.port} refuses us")


def test_a_port_in_use_is_named(start, tmp_path, start_broker):
    broker = start_broker()
    path = tmp_path / "embedded.toml"
    path.write_text(
        f'[storage]\nfolder = "{tmp_path}/kept"\n[broker]\nport = {broker.port}\n'
        '[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n'
    )
    program = start("run", "--config", str(path))
    assert program.wait() == 3
    assert f"port {broker.port} on 127.0.0.1 is not free" in program.say()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stop_saves_the_state_and_says_offline_last(start, configure, start_broker, listen, tmp_path, number, code):
    broker = start_broker()
    ears = listen(broker.port)
    program = start("run", "--config", str(configure(broker.port)))
    ears.until("wearer/me/availability", lambda word: word == "online")
    began_s = time.monotonic()
    assert program.end(number) == code
    assert time.monotonic() - began_s < 3
    ears.until(BRIDGE, lambda word: word == "offline")
    assert ears.heard[-1][:2] == ("posturewatch/bridge/state", b"offline")
    assert (tmp_path / "kept" / "me.snapshot").exists()
    assert "Traceback" not in program.say()


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.4, 0.6, 0.9])
def test_interrupted_at_any_moment_it_ends_quickly(start, configure, after_s):
    program = start("run", "--config", str(configure(1)))
    time.sleep(after_s)
    assert program.end(signal.SIGINT, within_s=5) in (130, -signal.SIGINT)


def test_the_second_interrupt_does_not_wait_for_a_frozen_broker(start, configure, start_broker, listen):
    broker = start_broker()
    ears = listen(broker.port)
    program = start("run", "--config", str(configure(broker.port)))
    ears.until(STATE)
    broker.freeze()
    program.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    began_s = time.monotonic()
    assert program.end(signal.SIGINT) == 130
    assert time.monotonic() - began_s < 1


def test_a_frozen_broker_delays_the_end_by_two_seconds_at_most(start, configure, start_broker, listen, tmp_path):
    broker = start_broker()
    ears = listen(broker.port)
    program = start("run", "--config", str(configure(broker.port)))
    ears.until(STATE)
    broker.freeze()
    began_s = time.monotonic()
    assert program.end(signal.SIGTERM) == 0
    assert time.monotonic() - began_s < 3
    assert (tmp_path / "kept" / "me.snapshot").exists()


def test_it_works_on_without_a_broker_and_is_right_within_two_seconds_of_its_coming(
    start, configure, start_broker, listen
):
    broker = start_broker(started=False)
    config = str(configure(broker.port))
    program = start("run", "--config", config)
    time.sleep(2.0)
    code, said, _ = ask(program, "status", "--json", "--config", config)
    assert code == 0
    found = json.loads(said)
    assert found["broker"]["connected"] is False
    assert found["wearers"][0]["online"] is True  # it detects on
    broker.start()
    began_s = time.monotonic()
    ears = listen(broker.port)
    state = ears.until(STATE)
    assert time.monotonic() - began_s < 2.5
    assert state["motion"] != "unknown"
    assert program.end(signal.SIGTERM) == 0


def test_a_second_daemon_on_one_state_folder_is_refused(start, configure, start_broker, listen):
    broker = start_broker()
    ears = listen(broker.port)
    config = str(configure(broker.port))
    first = start("run", "--config", config)
    ears.until(STATE)
    second = start("run", "--config", config)
    assert second.wait() == 3
    assert f"in use by another posturewatch (process {first.process.pid})" in second.say()
    assert first.process.poll() is None


def test_a_full_disk_is_told_once_and_does_not_end_it(start, configure, start_broker, listen, tmp_path):
    broker = start_broker()
    ears = listen(broker.port)
    program = start(
        "run",
        "--config",
        str(configure(broker.port, storage="snapshot_s = 1")),
        argv=[
            sys.executable,
            "-c",
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
            "sys.argv[0] = 'posturewatch'; from posturewatch.cli import main; main()",
        ],
        stdout=subprocess.DEVNULL,
    )
    # its log goes to a file too, and fits; a snapshot does not
    ears.until(STATE)
    time.sleep(2.5)
    assert program.process.poll() is None
    assert not (tmp_path / "kept" / "me.snapshot").exists()
    assert program.end(signal.SIGTERM) == 0
    assert program.say().count("WARNING") == 1


BUG = """
import sys
from posturewatch import watch
good, calls = watch.pipeline.advance_all, []
def bad(*arguments):
    calls.append(1)
    if len(calls) > 5:
        raise ZeroDivisionError("a bug")
    return good(*arguments)
watch.pipeline.advance_all = bad
sys.argv[0] = "posturewatch"
from posturewatch.cli import main
main()
"""


def test_a_bug_ends_it_with_a_traceback_after_the_last_messages(start, configure, start_broker, listen):
    broker = start_broker()
    ears = listen(broker.port)
    program = start("run", "--config", str(configure(broker.port)), argv=[sys.executable, "-c", BUG])
    assert program.wait() == 1
    assert "ZeroDivisionError: a bug" in program.say()
    ears.until(BRIDGE, lambda word: word == "offline")


def test_a_reload_changes_limits_without_losing_state_and_a_wrong_file_changes_nothing(
    start, configure, start_broker, listen
):
    broker = start_broker()
    ears = listen(broker.port)
    config = configure(broker.port)
    program = start("run", "--config", str(config))
    ears.until(STATE, lambda state: state["prompts_left_today"] == 10)
    before = json.loads(ask(program, "status", "--json", "--config", str(config))[1])
    good = config.read_text()
    config.write_text("[broker]\nhots = 1\n")
    program.process.send_signal(signal.SIGHUP)
    end_s = time.monotonic() + 10
    while "hots: unknown key" not in program.say() and time.monotonic() < end_s:
        time.sleep(0.05)
    assert "the configuration stays as it was" in program.say()
    config.write_text(good.replace("[wearer.reminding]\n", "[wearer.reminding]\nbreak_per_day = 3\n"))
    program.process.send_signal(signal.SIGHUP)
    ears.until(STATE, lambda state: state["prompts_left_today"] == 3)
    after = json.loads(ask(program, "status", "--json", "--config", str(config))[1])
    assert after["started"] == before["started"]
    assert ears.payloads(BRIDGE) == ["online"]
    config.write_text(good.replace('id = "me"', 'id = "you"'))
    program.process.send_signal(signal.SIGHUP)
    ears.until("wearer/you/state")
    assert program.end(signal.SIGTERM) == 0


def test_status_asks_the_daemon_then_the_broker_then_the_snapshot(start, configure, start_broker, listen, tmp_path):
    broker = start_broker()
    ears = listen(broker.port)
    config = str(configure(broker.port))
    program = start("run", "--config", config)
    ears.until("wearer/me/availability", lambda word: word == "online")
    (door,) = (tmp_path / "posturewatch").glob("*.sock")
    assert stat.S_IMODE(door.stat().st_mode) == 0o600
    code, said, _ = ask(program, "status", "--json", "--config", config)
    assert code == 0
    assert (json.loads(said)["from"], json.loads(said)["process"]) == ("daemon", program.process.pid)
    code, said, _ = ask(program, "why", "--config", config)
    assert said.startswith("me: nothing was due so far")
    code, said, _ = ask(program, "why", "--broker", f"127.0.0.1:{broker.port}")
    assert (code, said.startswith("me: nothing was due so far")) == (0, True)
    code, said, _ = ask(program, "status", "--broker", f"127.0.0.1:{broker.port}")
    assert (code, "wearer me (simulated)" in said) == (0, True)
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(door))
        visitor.sendall(b'nonsense\n{"request": "fly"}\n')
        with visitor.makefile() as lines:
            assert [json.loads(lines.readline())["ok"] for _ in range(2)] == [False, False]
    assert program.end(signal.SIGTERM) == 0
    assert not door.exists()
    code, said, _ = ask(program, "status", "--config", config)
    assert code == 0
    assert "no daemon runs now" in said
    code, said, _ = ask(program, "why", "--config", config)
    assert (code, said.startswith("me: nothing was due so far")) == (0, True)
    assert "no daemon runs now" in said
    for snapshot in (tmp_path / "kept").glob("*.snapshot"):
        snapshot.unlink()
    code, _, errors = ask(program, "why", "--config", config)
    assert (code, len(errors.splitlines())) == (3, 1)


def test_a_service_manager_is_told(start, configure, start_broker, tmp_path):
    broker = start_broker()
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(tmp_path / "notify"))
        inbox.settimeout(20)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        program = start("run", "--config", str(configure(broker.port)), environ=environ)
        while sum("WATCHDOG=1" in line for line in told) < 2:
            told.append(inbox.recv(1000).decode())
        program.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in told:
            told.append(inbox.recv(1000).decode())
    assert told[0] == "READY=1"
    assert "STATUS=connected, wearers: 1" in told[1]
    assert program.wait() == 0


def test_a_recording_ends_cleanly_at_ctrl_c_and_can_be_read(start, configure, tmp_path):
    path = tmp_path / "packets.jsonl.gz"
    config = str(configure(1))
    program = start("record", "--config", config, "-o", str(path))
    end_s = time.monotonic() + 20
    while (not path.exists() or path.stat().st_size < 3000) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert program.end(signal.SIGINT) == 130
    reader = RecordingReader(path)
    batches = [item for item in reader if isinstance(item, SampleBatch)]
    assert not reader.is_truncated
    assert sum(len(batch.t_ns) for batch in batches) > 50
    again = start("record", "--config", config, "-o", str(path))
    assert again.wait() == 2
    assert "it is there already, and is not overwritten" in again.say()


def test_gateways_of_both_protocols_are_heard_at_the_embedded_broker(start, listen, tmp_path):
    port = free_pair()[0]
    path = tmp_path / "embedded.toml"
    sensors = "".join(
        f'[[wearer]]\nid = "{name}"\n[[wearer.sensor]]\nid = "{name}-chest"\nplacement = "chest"\n'
        for name in ("a", "b")
    )
    path.write_text(f'[storage]\nfolder = "{tmp_path}/kept"\n[broker]\nport = {port}\n{sensors}')
    program = start("run", "--config", str(path))
    end_s = time.monotonic() + 20
    while "samples: listening" not in program.say() and time.monotonic() < end_s:
        time.sleep(0.02)
    login = ("posturewatch", (tmp_path / "kept" / "broker-password").read_text().strip())
    assert login[1] not in program.say()
    gateways = {"a": listen(port, True, login), "b": listen(port + 1, False, login)}
    payload = json.dumps({"rate_hz": 50, "unit": "mg", "acc": [[20, -30, 998]] * 25})
    for name, gateway in gateways.items():
        for _ in range(6):
            gateway.client.publish(f"posturewatch/sensor/{name}-chest/samples", payload, 1)
            time.sleep(0.25)
        for ears in gateways.values():
            ears.until(f"wearer/{name}/availability", lambda word: word == "online")
    assert program.end(signal.SIGTERM) == 0
    assert gateways["b"].heard[-1][:2] == ("posturewatch/bridge/state", b"offline")


def test_an_embedded_broker_that_was_killed_is_started_anew(start, listen, tmp_path):
    port = free_pair()[0]
    path = tmp_path / "embedded.toml"
    path.write_text(
        f'[storage]\nfolder = "{tmp_path}/kept"\n[broker]\nport = {port}\n'
        '[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\nsource = "simulated"\n'
    )
    program = start("run", "--config", str(path))
    end_s = time.monotonic() + 20
    while "connected" not in program.say() and time.monotonic() < end_s:
        time.sleep(0.02)
    login = ("posturewatch", (tmp_path / "kept" / "broker-password").read_text().strip())
    (broker,) = (pid for pid in program.relatives() if pid != program.process.pid)
    os.kill(broker, signal.SIGKILL)
    end_s = time.monotonic() + 20
    while program.say().count("connected") < 2 and time.monotonic() < end_s:
        time.sleep(0.02)
    assert "the embedded broker ended by itself; it is started anew" in program.say()
    listen(port, True, login).until("wearer/me/availability", lambda word: word == "online")
    assert program.end(signal.SIGTERM) == 0
    assert "Traceback" not in program.say()
