"""Brokers that are absent, refuse, die, freeze and return."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.errors import BrokerRefused
from posturewatch.publishing import messages
from posturewatch.types import Level, Message, Prompt

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

SECRET = "very-secret-word"


def state(base: str, text: str) -> Message:
    topic = f"{base}/wearer/anna/state"
    return Message(topic, text.encode(), retain=True, key=topic)


def bout(base: str, number: int) -> Message:
    return Message(f"{base}/wearer/anna/bout", str(number).encode())


def prompt(base: str, life_s: float) -> list[Message]:
    now_ns = time.time_ns()
    expires_ns = now_ns + int(life_s * 1e9)
    said = Prompt(now_ns, "shift_due", f"anna/{now_ns}", "c", "static", Level.SHIFT, 1, {}, expires_ns)
    return messages.for_event(messages.Topics(base), "anna", said)


async def test_a_broker_absent_at_start_is_awaited_and_told_the_state(
    fresh_mosquitto: Any, listen: Any, deliver: Any
) -> None:
    settings = fresh_mosquitto.settings()
    fresh_mosquitto.kill()
    async with deliver(settings) as running:
        for text in ("old", "older", "now"):
            running.outbox.put(state(settings.base_topic, text))
        await asyncio.sleep(2.5)  # so that the delays have grown beyond the promise
        assert not running.task.done()
        fresh_mosquitto.start()
        returned_s = time.monotonic()
        async with listen(settings) as ears:
            await ears.until("anna/state", b"now", within_s=2)
            assert time.monotonic() - returned_s < 2.0
        assert ears.payloads("anna/state") == [b"now"]


async def test_a_dying_broker_loses_no_bout_expires_prompts_and_knows_the_state_within_two_seconds_of_its_return(
    fresh_mosquitto: Any, listen: Any, deliver: Any
) -> None:
    settings = fresh_mosquitto.settings()
    base = settings.base_topic
    current = [state(base, "first")]
    async with deliver(settings, announce=lambda: current) as running:
        await running.until_up()
        running.outbox.put(bout(base, 0))
        fresh_mosquitto.kill()
        await running.until_down()
        for number in range(1, 40):
            current[:] = [state(base, f"state {number}")]
            running.outbox.put_all([*current, bout(base, number), *prompt(base, life_s=0.2)])
        await asyncio.sleep(2.5)
        fresh_mosquitto.start()
        returned_s = time.monotonic()
        async with listen(settings) as ears:
            await ears.until("anna/state", b"state 39", within_s=2)
            assert time.monotonic() - returned_s < 2.0
            await ears.until("bridge/state", b"online", within_s=2)
            await ears.until("anna/bout", b"39")
            await ears.until("bridge/event")
        assert not ears.payloads("anna/reminder")
        assert ears.payloads("anna/state") == [b"state 39"]
        numbers = [int(p) for p in ears.payloads("anna/bout")]
        assert numbers == sorted(numbers)
        assert set(range(1, 40)) <= set(numbers)
        assert b'"expired":1' in ears.payloads("bridge/event")[0].replace(b"1.0", b"1")


async def test_a_long_outage_is_bounded_in_memory(fresh_mosquitto: Any, deliver: Any) -> None:
    settings = fresh_mosquitto.settings()
    fresh_mosquitto.kill()
    async with deliver(settings) as running:
        for number in range(5000):
            running.outbox.put_all([state(settings.base_topic, str(number)), bout(settings.base_topic, number)])
        assert len(running.outbox) == 1001
        assert running.outbox.counts.dropped == 4000


async def test_a_frozen_broker_loses_nothing_and_is_used_again_when_it_thaws(
    fresh_mosquitto: Any, listen: Any, deliver: Any
) -> None:
    settings = fresh_mosquitto.settings(timeout_s=1.0, keepalive_s=2)
    base = settings.base_topic
    async with (
        listen(settings) as ears,
        deliver(settings, announce=lambda: [state(base, "now")]) as running,
    ):
        await running.until_up()
        await ears.until("anna/state", b"now")
        fresh_mosquitto.freeze()
        for number in range(5):
            running.outbox.put_all([bout(base, number), *prompt(base, life_s=0.5)])
        await running.until_down()
        await asyncio.sleep(3)  # several attempts time out
        fresh_mosquitto.thaw()
        thawed_s = time.monotonic()
        await running.until_up()
        await ears.until("anna/state", b"now", within_s=2, count=2)
        assert time.monotonic() - thawed_s < 3.5
        await ears.until("anna/bout", b"4")
        await asyncio.sleep(0.3)
        assert {int(p) for p in ears.payloads("anna/bout")} == {0, 1, 2, 3, 4}
        assert ears.payloads("bridge/state")[-1] == b"online"


async def test_a_frozen_broker_is_noticed_while_there_is_nothing_to_say(fresh_mosquitto: Any, deliver: Any) -> None:
    settings = fresh_mosquitto.settings(timeout_s=1.0, keepalive_s=1)
    async with deliver(settings) as running:
        await running.until_up()
        fresh_mosquitto.freeze()
        await running.until_down(within_s=4)
        fresh_mosquitto.thaw()


async def test_attempts_at_a_frozen_broker_leave_no_sockets_behind(fresh_mosquitto: Any, deliver: Any) -> None:
    settings = fresh_mosquitto.settings(timeout_s=0.3, keepalive_s=2)
    async with deliver(settings) as running:
        await running.until_up()
        fresh_mosquitto.freeze()
        running.outbox.put(bout(settings.base_topic, 0))
        await running.until_down()
        await asyncio.sleep(3)
        mine = [
            t for t in asyncio.all_tasks() if t.get_name().startswith("Task") and "_misc_loop" in repr(t.get_coro())
        ]
        assert len(mine) <= 1
        fresh_mosquitto.thaw()


async def test_a_wrong_password_is_one_clear_line_without_the_password(
    start_mosquitto: Any, tmp_path: Path, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "passwords").write_text("")
    (tmp_path / "passwords").chmod(0o644)
    extra = f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}"
    with start_mosquitto(tmp_path, extra) as broker:
        for protocol in ("5", "3.1.1"):
            settings = broker.settings(username="anna", password=SECRET, protocol=protocol)
            assert SECRET not in repr(settings)
            with pytest.raises(BrokerRefused, match="username") as refused:
                async with deliver(settings) as running:
                    await asyncio.wait([running.task], timeout=5)
            assert "\n" not in str(refused.value)
            assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text


async def test_topics_the_access_list_forbids_are_told_once_and_do_not_stop_the_rest(
    start_mosquitto: Any, tmp_path: Path, listen: Any, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic readwrite allowed/#\ntopic read #\n")
    (tmp_path / "acl").chmod(0o644)
    with start_mosquitto(tmp_path, f"acl_file {tmp_path / 'acl'}") as broker:
        settings = broker.settings(base_topic="allowed")
        async with listen(settings) as ears, deliver(settings) as running:
            for number in range(3):
                running.outbox.put(Message("forbidden/x", b"x"))
                running.outbox.put(bout("allowed", number))
            await ears.until("anna/bout", b"2")
            assert running.sink.refused == 3
    told = [r for r in caplog.records if "forbidden/x" in r.getMessage()]
    assert len(told) == 1
    assert "access list" in told[0].getMessage()


async def test_two_daemons_with_one_client_id_do_not_fight_for_ever(fresh_mosquitto: Any, deliver: Any) -> None:
    settings = fresh_mosquitto.settings(client_id="the-same")
    with pytest.raises(BrokerRefused, match="'the-same'"):
        async with deliver(settings) as one, deliver(settings) as two:
            await asyncio.wait([one.task, two.task], timeout=15, return_when=asyncio.FIRST_COMPLETED)


async def test_ending_while_the_broker_is_away_does_not_hang(fresh_mosquitto: Any, deliver: Any) -> None:
    settings = fresh_mosquitto.settings()
    fresh_mosquitto.kill()
    async with deliver(settings) as running:
        running.outbox.put(bout(settings.base_topic, 1))
        await asyncio.sleep(0.7)
        running.outbox.close()
        started_s = time.monotonic()
        await running.task
        assert time.monotonic() - started_s < 2


async def test_an_outage_is_one_line_of_log_and_no_noise_of_the_loop(
    fresh_mosquitto: Any, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = fresh_mosquitto.settings()
    async with deliver(settings) as running:
        for _ in range(3):
            await running.until_up()
            fresh_mosquitto.kill()
            await running.until_down()
            await asyncio.sleep(0.5)
            fresh_mosquitto.start()
    foreign = [r for r in caplog.records if not r.name.startswith("posturewatch")]
    assert not foreign, [r.getMessage() for r in foreign]
    assert sum("connected" in r.getMessage() for r in caplog.records) in (3, 4)


async def test_a_command_sent_in_a_short_outage_of_ours_arrives(
    fresh_mosquitto: Any, listen: Any, deliver: Any, wait_until: Any
) -> None:
    settings = fresh_mosquitto.settings()
    topic = f"{settings.base_topic}/wearer/anna/do/ack"
    got: list[Any] = []
    async with deliver(settings, subscriptions=[topic], on_message=got.append) as running:
        await running.until_up()
    async with listen(settings) as ears:
        await ears.client.publish(topic, b"while away", qos=1)
    async with deliver(settings, subscriptions=[topic], on_message=got.append):
        await wait_until(lambda: bool(got))
    assert got[0].payload == b"while away"
    assert not got[0].retain
