"""Whatever the daemon publishes is in the contract and follows its schema; a hundred wearers do not flood a broker."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from posturewatch_sim.stream import samples

from posturewatch.config import load
from posturewatch.publishing.messages import json_schemas
from posturewatch.publishing.payloads import MESSAGES, PLAIN_WORDS
from posturewatch.publishing.topics import Topics
from posturewatch.sinks.outbox import Outbox
from posturewatch.sources.simulated import SimulatedSensor, find_scenario
from posturewatch.store import SnapshotStore
from posturewatch.types import NS_PER_S, SampleBatch
from posturewatch.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEARERS = 100
STEADY_S = 12.0


def pattern_of(topic: str) -> re.Pattern[str]:
    return re.compile("posturewatch/" + re.sub(r"\\\{\w+\\\}", r"[a-z0-9_-]+", re.escape(topic)))


SCHEMAS = [
    (pattern_of(topic), jsonschema.Draft202012Validator(json_schemas()[name]), retained)
    for name, _, topic, retained, ours in MESSAGES
    if ours
]
WORDS = [pattern_of(topic) for _, topic in PLAIN_WORDS]
ASKED = re.compile(r"posturewatch/wearer/[^/]+/(do|set)/\w+")
CONFIG = re.compile(r"homeassistant/device/posturewatch_(bridge|wearer_[a-z0-9_-]+)/config")


def check(topic: str, payload: bytes) -> str:
    """What kind of message it is; fails where the contract does not know it."""
    if any(words.fullmatch(topic) for words in WORDS):
        assert payload in (b"online", b"offline")
        return "word"
    if CONFIG.fullmatch(topic):
        assert {"device", "origin", "components"} <= set(json.loads(payload))
        return "discovery"
    found = [schema for pattern, schema, _ in SCHEMAS if pattern.fullmatch(topic)]
    assert len(found) == 1, topic
    found[0].validate(json.loads(payload))
    return topic.rpartition("/")[2]


@pytest.mark.parametrize("protocol", [5, 311])
def test_all_that_is_published_is_in_the_contract(
    start: Any, configure: Any, start_broker: Any, listen: Any, protocol: int
) -> None:
    broker = start_broker()
    ears = listen(broker.port, five=protocol == 5)
    ears.client.subscribe("homeassistant/#", 1)
    config: Path = configure(broker.port, wearer="[wearer.reminding]\ngrace_min = 0\n")
    config.write_text(config.read_text().replace("[broker]", f"[broker]\nprotocol = {protocol}"))
    program = start("run", "--config", str(config))
    ears.until("me/state")
    for leaf, payload in (("do/hold", "5"), ("do/release", "PRESS"), ("set/level", "break"), ("do/dance", "1")):
        ears.client.publish(f"posturewatch/wearer/me/{leaf}", payload, 1)
    ears.client.publish("posturewatch/wearer/me/do/test_reminder", "{}", 1)
    ears.until("me/reminder")
    ears.until("me/result", lambda result: result["action"] == "test_reminder")
    assert program.end(signal.SIGTERM) == 0
    ears.until("bridge/state", lambda word: word == "offline")
    kinds = Counter(check(topic, payload) for topic, payload, _ in ears.heard if not ASKED.fullmatch(topic))
    assert set(kinds) >= {"word", "discovery", "state", "settings", "health", "info", "event", "result", "reminder"}
    late = listen(broker.port)
    late.until("bridge/state")
    time.sleep(0.3)
    kept = {pattern for pattern, _, retained in SCHEMAS if retained}
    for topic, _, retained in late.heard:
        assert retained
        assert any(pattern.fullmatch(topic) for pattern in (*kept, *WORDS)), f"{topic} should not be retained"


def config_of_many(folder: Path, port: int) -> Path:
    path = folder / "many.toml"
    wearers = "".join(
        f'[[wearer]]\nid = "w{n}"\nreminding = {{ quiet_hours = [] }}\n'
        f'[[wearer.sensor]]\nid = "s{n}"\nplacement = "chest"\nsource = "simulated"\n'
        'scenario = "desk-freeze"\n'
        for n in range(WEARERS)
    )
    path.write_text(f'[storage]\nfolder = "{folder}/kept"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n{wearers}')
    return path


def let_them_sit(config: Path) -> None:
    """Everybody has sat for five minutes, in step: the worst that can come at once."""
    loaded, until_ns = load(config, {}), time.time_ns()
    first = loaded.config.wearer[0]
    sensor = first.sensor[0]
    watch = Watch(loaded.to_core(first, until_ns), Topics(), Outbox(time.time_ns), simulated=True)
    scene = find_scenario(SimulatedSensor(sensor.id, sensor.scenario, sensor.seed, sensor.placement))
    start_ns = until_ns - 300 * NS_PER_S
    for chunk in samples(scene, seed=sensor.seed, start_ns=start_ns, chunk_s=10.0):
        if chunk.until_s > 300:
            break
        watch.take(SampleBatch(sensor.id, chunk.t_ns, chunk.acc_10ug))
    watch.work()
    for wearer in loaded.config.wearer:
        state = {**watch.dump(), "sensors": [[wearer.sensor[0].id, "chest"]]}
        assert SnapshotStore(loaded.state_folder()).save(wearer.id, state, until_ns)


def test_a_hundred_wearers_are_described_and_published_without_flooding(
    start: Any, start_broker: Any, listen: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    broker = start_broker()
    ears = listen(broker.port)
    ears.client.subscribe("homeassistant/#", 1)
    config = config_of_many(tmp_path, broker.port)
    let_them_sit(config)
    begun_s = time.monotonic()
    program = start("run", "--config", str(config))

    def described() -> set[str]:
        return {topic for topic, _, _ in list(ears.heard) if CONFIG.fullmatch(topic)}

    def states() -> set[str]:
        return {topic for topic, _, _ in list(ears.heard) if topic.endswith("/state") and "/wearer/" in topic}

    while len(described()) < WEARERS + 1 or len(states()) < WEARERS:
        assert time.monotonic() - begun_s < 30, (len(described()), len(states()), program.say())
        time.sleep(0.05)
    record_property("announced_s", round(time.monotonic() - begun_s, 1))
    ears.until("bridge/health", lambda health: health["wearers"] == WEARERS)
    steady = len(ears.heard)
    time.sleep(STEADY_S)
    per_wearer = Counter(topic.split("/")[2] for topic, _, _ in ears.heard[steady:] if "/wearer/" in topic)
    rate_hz = sum(per_wearer.values()) / WEARERS / STEADY_S
    record_property("messages_per_wearer_and_s", round(rate_hz, 3))
    assert 0.05 <= rate_hz <= 1.0, "nobody's clocks run, or too much is said"
    assert max(per_wearer.values()) / STEADY_S <= 1.0, per_wearer.most_common(3)
    assert not [topic for topic, _, _ in ears.heard[steady:] if CONFIG.fullmatch(topic)]
    assert program.end(signal.SIGTERM) == 0


def test_a_broker_that_forbids_discovery_is_told_once_and_everything_else_goes_on(
    start: Any, configure: Any, start_broker: Any, listen: Any, tmp_path: Path
) -> None:
    access = tmp_path / "access-list"
    access.write_text("topic readwrite posturewatch/#\n")
    access.chmod(0o644)
    broker = start_broker(f"allow_anonymous true\nacl_file {access}")
    ears = listen(broker.port)
    program = start("run", "--config", str(configure(broker.port)))
    ears.until("me/state")
    ears.until("bridge/health")
    broker.kill()
    broker.start()
    heard = len(ears.heard)
    ears.until("me/state", since=heard)
    assert program.end(signal.SIGTERM) == 0
    errors = [line for line in program.say().splitlines() if "ERROR" in line]
    assert len(errors) == 2, errors  # one for each device
    assert all("homeassistant/device/" in line and "access list" in line for line in errors)
