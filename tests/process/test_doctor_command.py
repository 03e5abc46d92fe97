"""What `doctor` says of machines that are well, and of those that are not; and what a bug report gives away."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from posturewatch.checks import bluetooth
from posturewatch.cli import group

PROGRAM = [sys.executable, "-m", "posturewatch"]
HEALTHY_S = 10.0  # 1 to 3 s where nothing else runs; four test processes share two cores
BOUNDED_S = 10.0


@pytest.fixture
def examine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Exit code and findings by `group, check`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, folder in (("RUNTIME_DIR", ""), ("CONFIG_HOME", "config"), ("STATE_HOME", "state")):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / folder))

    def run(*words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        capsys.readouterr()
        code = group.main(["doctor", "--json", *words], standalone_mode=False)
        told = capsys.readouterr()
        assert told.err == ""
        rows = json.loads(told.out)["findings"]
        assert all(row["fix"] for row in rows if row["grade"] != "ok")
        return code, {f"{row['group']}, {row['check']}": row for row in rows}

    return run


def test_a_healthy_machine_is_all_ok_within_seconds(examine: Callable[..., Any], daemon: Any) -> None:
    path = daemon.config
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(path.parent), "XDG_RUNTIME_DIR": str(path.parent)}
    began_s = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, "doctor", "--config", str(path)], env=environ, capture_output=True, text=True, check=False
    )
    took_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stdout
    assert "ok    broker, permissions: may write and read posturewatch/#" in done.stdout
    code, found = examine("--config", str(path))
    grades = {name: row["grade"] for name, row in found.items() if not name.startswith("clock")}
    assert set(grades.values()) == {"ok"}, found
    assert code == 0
    assert took_s < HEALTHY_S
    assert {"state, daemon", "state, disk", "broker, login", "broker, permissions", "broker, Home Assistant"} <= set(
        found
    )
    assert "runs: version" in found["state, daemon"]["seen"]
    assert "configuration, values" in found


def test_home_assistant_is_seen_by_what_it_says_or_what_others_tell_it(
    examine: Callable[..., Any],
    start_broker: Callable[..., Any],
    listen: Callable[..., Any],
    configure: Callable[..., Path],
) -> None:
    broker = start_broker()
    path = str(configure(broker.port))
    ears = listen(broker.port)
    ears.client.publish("homeassistant/sensor/porch/config", "{}", 1, retain=True).wait_for_publish(5)
    assert "others describe 1 devices" in examine("--config", path)[1]["broker, Home Assistant"]["seen"]
    ears.client.publish("homeassistant/status", "online", 1, retain=True).wait_for_publish(5)
    assert "says online on homeassistant/status" in examine("--config", path)[1]["broker, Home Assistant"]["seen"]


def test_another_daemon_below_our_topics_is_noticed(examine: Callable[..., Any], daemon: Any) -> None:
    path = daemon.config
    daemon.ears.until("bridge/info", lambda info: info["instance"])
    elsewhere = path.with_name("elsewhere.toml")
    elsewhere.write_text(path.read_text().replace("/kept", "/elsewhere"))
    _, found = examine("--config", str(elsewhere))
    assert found["broker, other daemons"]["grade"] == "warn"
    assert found["state, daemon"]["seen"] == "none runs"


def test_without_or_with_a_wrong_configuration_it_says_so(
    examine: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluetooth, "ADAPTERS", tmp_path / "none")
    code, found = examine()
    assert code == 3
    assert found["configuration, file"]["seen"] == "nobody is configured"
    assert "posturewatch setup" in found["configuration, file"]["fix"]
    assert found["bluetooth, adapter"]["grade"] == "warn"  # it may be needed
    assert found["bluetooth, adapter"]["seen"] == "there is none"
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[broker]\nprot = 1883\n")
    code, found = examine("--config", str(wrong))
    assert code == 3
    assert f"{wrong}:2: broker.prot: unknown key" in found["configuration, file"]["seen"]


def test_a_broker_that_is_away_frozen_or_unwilling_is_told_apart_and_holds_nothing_up(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path]
) -> None:
    broker = start_broker(started=False)
    path = str(configure(broker.port))
    code, found = examine("--config", path)
    assert code == 3
    assert found["broker, reachable"]["grade"] == "fail"

    broker.start()
    broker.freeze()
    began_s = time.monotonic()
    code, found = examine("--config", path)
    assert time.monotonic() - began_s < BOUNDED_S
    assert code == 3
    assert "does not answer" in found["broker, login"]["seen"]
    broker.kill()

    guarded = start_broker("allow_anonymous false")
    code, found = examine("--config", str(configure(guarded.port)))
    assert code == 3
    assert "check username, password" in found["broker, login"]["fix"]


def test_a_forbidden_topic_is_a_finding(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "acl").write_text("topic read #\n")
    (tmp_path / "acl").chmod(0o600)
    broker = start_broker(f"allow_anonymous true\nacl_file {tmp_path}/acl")
    code, found = examine("--config", str(configure(broker.port)))
    assert code == 3
    assert found["broker, permissions"]["grade"] == "fail"
    assert "posturewatch/#" in found["broker, permissions"]["fix"]


def test_a_process_that_holds_the_state_folder_silently_is_named(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path], tmp_path: Path
) -> None:
    path = str(configure(start_broker().port))
    (tmp_path / "kept").mkdir(mode=0o700)
    with (tmp_path / "kept" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        code, found = examine("--config", path)
    assert code == 3
    assert "process 4711 holds" in found["state, daemon"]["seen"]
    _, found = examine("--config", path)
    assert found["state, daemon"]["seen"] == "none runs"


def test_a_state_folder_that_takes_nothing_and_one_that_others_read(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path], tmp_path: Path
) -> None:
    path = configure(start_broker().port)
    (tmp_path / "kept").mkdir(mode=0o755)
    assert examine("--config", str(path))[1]["state, private"]["grade"] == "warn"
    path.write_text(path.read_text().replace(f"{tmp_path}/kept", "/proc/posturewatch"))
    code, found = examine("--config", str(path))
    assert code == 3
    assert "storage.folder" in found["state, writable"]["fix"]


def test_no_radio_is_a_finding_only_for_who_needs_one(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path]
) -> None:
    broker = start_broker()
    assert examine("--config", str(configure(broker.port)))[1]["bluetooth, adapter"]["grade"] == "ok"
    polar = 'source = "ble"\nfamily = "polar"\naddress = "C0:5E:00:00:00:01"'
    path = configure(broker.port, polar, '[bluetooth]\nradio = "hci:unix:/nowhere/radio"')
    code, found = examine("--config", str(path))
    assert code == 3
    assert found["bluetooth, radio"]["grade"] == "fail"


def test_prompts_that_nothing_shows_are_a_finding(
    examine: Callable[..., Any], configure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(more: str = "") -> tuple[int, dict[str, dict[str, Any]]]:
        path = configure(0, more=more)
        path.write_text(path.read_text().replace('host = "127.0.0.1"\nport = 0\n', ""))
        return cast("tuple[int, dict[str, dict[str, Any]]]", examine("--config", str(path)))

    shown = look()[1]["prompts, shown"]
    assert (shown["grade"], shown["seen"].partition(":")[0]) == ("warn", "nothing shows your prompts")
    assert "posturewatch setup --desktop" in shown["fix"]
    assert look('[[hook]]\ncommand = ["true"]\non = ["day_summary"]\n')[1]["prompts, shown"]["grade"] == "warn"
    assert look('[[hook]]\ncommand = ["true"]\n')[1]["prompts, shown"]["grade"] == "ok"
    found = look("[desktop]\nenabled = true\n")[1]
    assert found["prompts, shown"]["seen"] == "on this desktop"
    assert found["installation, extra [desktop]"]["grade"] == "ok"
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "desktop_notifier" else find(name))
    code, found = look("[desktop]\nenabled = true\n")
    assert code == 3
    assert found["installation, extra [desktop]"]["fix"] == "pip install 'posturewatch[desktop]'"


def test_a_bug_report_holds_no_password_no_name_and_no_address(
    examine: Callable[..., Any], start_broker: Callable[..., Any], tmp_path: Path
) -> None:
    broker = start_broker()
    path = tmp_path / "posturewatch.toml"
    path.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\nusername = "anna-kowalska"\npassword = "open sesame"\n'
        'client_id = "annas-desk"\nbase_topic = "flat/kowalska"\n'
        '[bluetooth]\nradio = "hci:unix:/nowhere/radio"\n'
        '[[wearer]]\nid = "anna"\n[[wearer.condition]]\ntopic = "kowalska/camera"\n'
        '[[wearer.sensor]]\nid = "annas-strap"\nplacement = "chest"\nsource = "ble"\nfamily = "polar"\n'
        'address = "A0:9E:1A:12:34:56"\n'
        '[[wearer.sensor]]\nid = "b"\nplacement = "thigh"\nsource = "ble"\nfamily = "polar"\n'
        'name = "Polar Kowalska 1"\n'
    )
    bundle = tmp_path / "report.json"
    examine("--config", str(path), "--bundle", str(bundle))
    text = bundle.read_text()
    report = json.loads(text)
    for private in ("sesame", "kowalska", "anna", "A0:9E:1A", "12:34:56", str(tmp_path)):
        assert private.lower() not in text.lower(), private
    assert bundle.stat().st_mode & 0o077 == 0
    sensor = report["configuration"]["wearer"][0]["sensor"][0]
    assert (sensor["family"], sensor["placement"]) == ("polar", "chest")
    assert re.fullmatch(r"<[0-9a-f]{8}>", sensor["address"])
    assert report["configuration"]["broker"]["port"] == broker.port
    assert any(row["check"].startswith("login") or row["check"] == "radio" for row in report["findings"])

    again = tmp_path / "again.json"
    examine("--config", str(path), "--bundle", str(again))
    assert json.loads(again.read_text())["configuration"]["wearer"][0]["sensor"][0]["address"] != sensor["address"]


def test_samples_of_a_gateway_are_heard_missed_or_not_understood(
    examine: Callable[..., Any],
    start_broker: Callable[..., Any],
    listen: Callable[..., Any],
    configure: Callable[..., Path],
) -> None:
    broker = start_broker()
    path = str(configure(broker.port, 'source = "mqtt"'))
    assert examine("--config", path)[1]["gateways, sensor chest"]["grade"] == "warn"
    ears = listen(broker.port)
    done = threading.Event()

    def publish(payload: str) -> None:
        while not done.wait(0.2):
            ears.client.publish("posturewatch/sensor/chest/samples", payload)

    for payload, grade, seen in (
        (json.dumps({"seq": 1, "rate_hz": 10, "unit": "g", "acc": [[0, 0, 1], [0, 0, 1]]}), "ok", "of 10"),
        ('{"acc": "up"}', "fail", "not understood"),
    ):
        done.clear()
        thread = threading.Thread(target=publish, args=(payload,))
        thread.start()
        _, found = examine("--config", path)
        done.set()
        thread.join()
        assert found["gateways, sensor chest"]["grade"] == grade
        assert seen in found["gateways, sensor chest"]["seen"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed: apt-get install openssl")
def test_a_certificate_is_trusted_soon_over_or_of_nobody_we_know(
    examine: Callable[..., Any], start_broker: Callable[..., Any], configure: Callable[..., Path], tmp_path: Path
) -> None:
    def certify(name: str, days: int) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(days), "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / f"{name}.key").chmod(0o644)

    def look(server: str, trusted: str) -> tuple[int, dict[str, Any]]:
        broker = start_broker(
            f"allow_anonymous true\ncertfile {tmp_path}/{server}.pem\nkeyfile {tmp_path}/{server}.key"
        )
        path = configure(broker.port)
        path.write_text(path.read_text().replace("[broker]\n", f'[broker]\ntls = true\ntls_cafile = "{trusted}.pem"\n'))
        code, found = examine("--config", str(path))
        broker.kill()
        return code, found

    for name, days in (("lasting", 300), ("ending", 3)):
        certify(name, days)
    code, found = look("lasting", "lasting")
    assert (code, found["broker, TLS"]["grade"], found["broker, login"]["grade"]) == (0, "ok", "ok")
    assert "for 299 more days" in found["broker, TLS"]["seen"] or "for 300 more days" in found["broker, TLS"]["seen"]
    code, found = look("ending", "ending")
    assert (code, found["broker, TLS"]["grade"]) == (0, "warn")
    code, found = look("lasting", "ending")
    assert (code, found["broker, TLS"]["grade"]) == (3, "fail")
    assert "broker.tls_cafile" in found["broker, TLS"]["fix"]
