"""The fixtures that the project gives to others do what they promise, in a pytest of its own.

The examples of docs/testing-with-the-simulator.md run, too: there a demonstration is heard and spoken to.
"""

from __future__ import annotations

import shutil
import subprocess
import textwrap

import pytest

pytest_plugins = ["pytester"]

HEAD = "import pytest\n"


@pytest.fixture
def outside(pytester: pytest.Pytester):
    """Runs the text of a test file as another project would, in another process; what came of it."""

    def run(text: str, **expected: int) -> pytest.RunResult:
        pytester.makeconftest('pytest_plugins = ["posturewatch_sim.pytest_plugin"]')
        pytester.makepyfile(HEAD + textwrap.dedent(text))
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
        result.assert_outcomes(**expected)
        return result

    return run


def test_samples_come_with_their_truth_and_are_the_same_for_the_same_seed(outside):
    outside(
        """
        def test_samples(posturewatch_samples):
            day = posturewatch_samples("walk-at-28", seed=7)
            again = posturewatch_samples("walk-at-28", seed=7)
            assert day.acc_g.shape == (len(day.t_s), 3)
            assert (day.acc_g == again.acc_g).all()
            assert abs((day.acc_g**2).sum(axis=1).mean() - 1.0) < 0.2
            assert [e["rule"] for e in day.truth if e["type"] == "reminder"] == ["static"]

        def test_an_endless_scenario_must_be_bounded(posturewatch_samples, tmp_path):
            file = tmp_path / "endless.toml"
            file.write_text(
                'title = "x"\\nplacement = "chest"\\nsensor = "polar_h10"\\n'
                'script = [{ do = "sit", minutes = 1 }]\\nendless = [{ do = "sit", minutes = 1 }]\\n'
            )
            with pytest.raises(ValueError, match="duration_s"):
                posturewatch_samples(file)
            assert posturewatch_samples(file, duration_s=90).t_s[-1] < 90
        """,
        passed=2,
    )


@pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="mosquitto is not installed")
def test_demo_and_daemon_go_to_the_broker_of_the_test_with_its_password(outside, start_broker, tmp_path):
    words = ["mosquitto_passwd", "-c", "-b", str(tmp_path / "passwords"), "tester", "secret"]
    subprocess.run(words, check=True, capture_output=True)
    port = start_broker(f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}").port
    outside(
        f"""
        BROKER = {{"broker": "127.0.0.1:{port}", "login": ("tester", "secret")}}
        WEARER = "[[wearer]]\\nid = 'me'\\n[[wearer.sensor]]\\nid = 'chest'\\nplacement = 'chest'\\n"

        def test_demo(posturewatch_demo):
            demo = posturewatch_demo(speed=300, **BROKER)
            assert demo.base_topic == "posturewatch-demo"
            assert demo.until("wearer/demo/state")["simulated"]

        def test_daemon(posturewatch_daemon):
            daemon = posturewatch_daemon(WEARER + "source = 'simulated'", **BROKER)
            assert daemon.until("wearer/me/state")["simulated"]
        """,
        passed=2,
    )


def test_a_daemon_hears_virtual_sensors_and_survives_a_kick(outside):
    outside(
        """
        CONFIGURATION = '''
        [bluetooth]
        radio = "{radio}"
        [[wearer]]
        id = "me"
        [[wearer.sensor]]
        id = "strap"
        placement = "chest"
        source = "ble"
        family = "polar"
        address = "C0:5E:00:00:00:01"
        '''

        def test_daemon(posturewatch_radio, posturewatch_daemon):
            radio = posturewatch_radio("polar_h10", scenario="still-upright", seed=7)
            daemon = posturewatch_daemon(CONFIGURATION.format(radio=radio.name))
            daemon.until("sensor/strap/health", lambda p: p["connected"])
            assert radio.devices == ["polar_h10"]
            radio.tell("kick polar_h10")
            daemon.until("sensor/strap/health", lambda p: p["reconnects"] > 0)
            with pytest.raises(AssertionError, match="polar_h11"):
                radio.tell("kick polar_h11")
        """,
        passed=1,
    )


def test_what_does_not_come_fails_with_the_reason(outside):
    result = outside(
        """
        def test_daemon(posturewatch_daemon):
            posturewatch_daemon("[[wearer]]\\nid = 'me'\\n")
        """,
        failed=1,
    )
    result.stdout.fnmatch_lines(["*posturewatch ended with 2: *posturewatch.toml*sensor*"])


def test_a_command_is_heard_as_soon_as_a_fixture_is_there_and_a_failed_start_leaves_nothing_running(outside):
    outside(
        """
        import os, pathlib

        WEARER = "[[wearer]]\\nid = 'me'\\n[[wearer.sensor]]\\nid = 'chest'\\nplacement = 'chest'\\n"

        def test_command(posturewatch_demo):
            demo = posturewatch_demo("desk-freeze", speed=600)
            demo.publish("wearer/demo/do/hold", {"minutes": 90, "reason": "meeting"})
            assert demo.until("wearer/demo/result")["ok"]

        def test_no_broker(posturewatch_daemon):
            with pytest.raises(AssertionError, match="127.0.0.1:1 cannot be reached"):
                posturewatch_daemon(WEARER, broker="127.0.0.1:1")
            own = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
            assert pathlib.Path(own).read_text() == ""
        """,
        passed=2,
    )
