"""Killed at any moment, the daemon goes on where it was: half a minute lost at most, and no id with two meanings."""

from __future__ import annotations

import random
import signal
import sys
import time

SPEED = 20  # a snapshot a second is one in 20 s of the wearer's time; a restart and what it forgot are below a minute
STATIC_MIN = 5.0
FIRST_S = 5.0  # of real time, until the first kill
LOST_S = 32  # 30, and two for the rounding of both states

# The same app as `posturewatch run`, on a clock that runs faster and goes on where the killed one was.
DAEMON = """
import sys
from pathlib import Path
from posturewatch.app import Given, run
from posturewatch.signals import until_stopped
from posturewatch.clock import ScaledClock
from posturewatch.config import load
loaded = load(Path(sys.argv[1]), {})
async def serve(signals):
    clock = ScaledClock(float(sys.argv[2]), int(sys.argv[3]))
    await run(Given(loaded, clock, signals, speed=float(sys.argv[2]), has_control=False))
sys.exit(until_stopped(serve))
"""


def test_kills_at_random_moments_lose_half_a_minute_at_most_and_no_bout(start, configure, start_broker, listen):
    broker = start_broker()
    ears = listen(broker.port)
    config = configure(
        broker.port,
        'source = "simulated"\nscenario = "desk-freeze"\nseed = 4',
        storage="snapshot_s = 1",
        wearer=f"static_limit_min = {STATIC_MIN}\n[wearer.reminding]\ngrace_min = 0\nmin_gap_min = 1",
    )
    dice = random.Random(7)
    began_s, began_ns = time.monotonic(), 1_790_000_000 * 10**9
    resumed = 0
    for kills in range(6):
        now_ns = began_ns + int((time.monotonic() - began_s) * SPEED * 1e9)
        before = [s for s in ears.payloads("wearer/me/state") if s["wear"] == "worn"]
        heard = len(ears.heard)
        program = start(str(config), str(SPEED), str(now_ns), argv=[sys.executable, "-c", DAEMON])
        if before and before[-1]["sedentary_s"] > 60:
            state = ears.until("wearer/me/state", since=heard)  # what the new process says first is what it remembers
            assert state["sedentary_s"] >= before[-1]["sedentary_s"] - LOST_S
            assert state["static_s"] >= before[-1]["static_s"] - LOST_S
            resumed += 1
        time.sleep(dice.uniform(2.0, 5.0) if kills else FIRST_S)
        program.process.send_signal(signal.SIGKILL)
        program.wait()
    assert resumed >= 4
    prompts = ears.payloads("/reminder")
    assert prompts, "nothing became due"
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for prompt in prompts:
        meaning = (prompt["event_type"], prompt["cycle"], prompt["level"], prompt["repeat"])
        meanings.setdefault(prompt["id"], set()).add(meaning)
    assert all(len(found) == 1 for found in meanings.values()), meanings
    bout_start_s = int(prompts[0]["id"].split("/")[-2])
    assert bout_start_s < began_ns // 10**9 + FIRST_S * SPEED, "the bout that became due began before the first kill"
