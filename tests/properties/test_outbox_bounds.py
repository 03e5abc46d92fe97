"""The outbox: bounded, the newest state, history in order, nothing late."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from posturewatch.sinks.outbox import Outbox
from posturewatch.types import Message

KEYS = st.sampled_from([None, "a", "b", "c", "d", "e"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.none() | st.integers(0, 60)),
        st.tuples(st.just("send"), st.just(None), st.just(None)),
        st.tuples(st.just("send while replaced"), st.sampled_from([None, "a", "b"]), st.just(None)),
        st.tuples(st.just("send some"), st.sampled_from([None, "a", "b"]), st.integers(1, 9)),
        st.tuples(st.just("discard"), st.sampled_from(["a", "b"]), st.just(None)),
        st.tuples(st.just("purge"), st.just(None), st.just(None)),
        st.tuples(st.just("wait"), st.just(None), st.integers(0, 20)),
    ),
    max_size=120,
)


@given(ACTIONS)
@settings(max_examples=150, deadline=None)
def test_bounds_hold_the_newest_state_wins_history_keeps_its_order_and_nothing_late_is_sent(actions: list) -> None:
    now = [0]
    outbox = Outbox(lambda: now[0], max_history=7, max_slots=4)
    number = 0
    newest: dict[str, int] = {}
    sent: list[Message] = []

    def put(key: str | None, life: int | None) -> None:
        nonlocal number
        number += 1
        expires = None if life is None else now[0] + life
        outbox.put(Message("t", b"%d" % number, key=key, expires_ns=expires))
        if key is not None:
            newest[key] = number

    for action, key, value in actions:
        if action == "put":
            put(key, value)
        elif action == "wait":
            now[0] += value
        elif action == "discard":
            outbox.discard(key)
        elif action == "purge":
            outbox.purge()
        elif messages := outbox.peek_some(value or 1):
            assert len(messages) <= (value or 1)
            for message in messages:
                assert message.expires_ns is None or message.expires_ns > now[0]
                if message.key is not None:
                    assert int(message.payload) == newest[message.key]
            if action != "send":
                put(key, None)
            for message in messages:
                outbox.done(message)
                sent.append(message)
        assert len(outbox) <= 7 + 4

    left = []
    while (message := outbox.peek()) is not None:
        outbox.done(message)
        left.append(message)
        assert len(left) <= 11
    history = [int(m.payload) for m in (*sent, *left) if m.key is None]
    assert history == sorted(set(history))
    counts = outbox.counts
    assert counts.published == len(sent) + len(left)
    gone = counts.published + counts.replaced + counts.expired + counts.dropped + counts.withdrawn
    assert gone >= counts.put == number  # a message replaced or dropped while it was being sent counts twice


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_key_is_sent_once_with_its_last_value(keys: list[int]) -> None:
    outbox = Outbox(lambda: 0)
    for number, key in enumerate(keys):
        outbox.put(Message("t", b"%d" % number, key=str(key)))
    got = {}
    while (message := outbox.peek()) is not None:
        assert message.key not in got
        got[message.key] = int(message.payload)
        outbox.done(message)
    assert got == {str(key): len(keys) - 1 - keys[::-1].index(key) for key in set(keys)}
