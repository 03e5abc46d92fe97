"""Every block of the documentation is run as it stands, or says in a comment why it is not.

`sh` blocks run line by line in a folder of their page, beside a daemon and a broker; `toml` blocks are read as what
they are, `python` blocks run.  Before a block that cannot run here stands `<!-- not run: the reason -->`; its commands
still have to exist (tests/shape/test_docs.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbench.mosquitto import MOSQUITTO, NO_MOSQUITTO, Mosquitto
from testbench.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n+)?^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(
    r"^(?:posturewatch|mosquitto_\w+|make|pipx?|uv|python3?|pytest|systemctl|sudo|openssl) ", re.MULTILINE
)
# What never ends by itself is interrupted after a moment, if it has not failed by then.
ENDLESS = re.compile(r"posturewatch (?:monitor|record|scan)\b|--transport (?:unix:|mqtt|vhci)|mosquitto_sub(?!.* -C)")
LOOK_S = 2.0
PATIENCE_S = 60.0
NOTHING_OPEN = re.compile(
    "no reminder is open|nothing is due"
)  # the right answer, while the wearer of the pages is well
INTERRUPTED = (0, 130, -signal.SIGINT)
WEARER = '[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\nsource = "simulated"\n'
# The daemon of the pages runs already; a demonstration of one cycle is enough; brokers have ports of their own here.
DEMO = "posturewatch demo"
INSTEAD = (
    (re.compile(r"^posturewatch run\b"), "posturewatch run --check"),
    (re.compile(r"^posturewatch demo$"), "posturewatch demo --once --speed 300"),
    (re.compile(r"(?<=posturewatch simulate )(?:office-day|meeting)\b"), "still-upright"),  # a shorter day
    (re.compile(r"(?<=127\.0\.0\.1:)1883\b|(?<=-p )1883\b"), "{port}"),
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    kind: str
    text: str
    reason: str | None
    line: int


def read_blocks(page: str) -> list[Block]:
    return [
        Block(found["kind"].strip(), found["text"], found["reason"], page.count("\n", 0, found.start("text")))
        for found in BLOCK.finditer(page)
    ]


def read_lines(text: str) -> list[str]:
    """Commands, one each; a line that goes on, or on in the background, is joined, comments are left out."""
    lines = text.replace("\\\n", " ").replace("&\n", "& ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A broker, a daemon with the wearer `me`, and the environment in which both are found."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    home = tmp_path_factory.mktemp("home")
    broker = Mosquitto(home)
    broker.start()
    port = broker.port
    folder = home / ".config/posturewatch"
    folder.mkdir(parents=True)
    for tool in ("mosquitto_pub", "mosquitto_sub"):
        (home / ".config" / tool).write_text(f"-p {port}\n")
    (folder / "posturewatch.toml").write_text(f'[broker]\nhost = "127.0.0.1"\nport = {port}\n{WEARER}')
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "COLUMNS": "100",
        "PORT": str(port),
    }
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen(["posturewatch", "run"], env=environ, cwd=home, stderr=log)
    until(lambda: b"connected" in (home / "log").read_bytes(), PATIENCE_S, (home / "log").read_text)
    yield environ
    daemon.terminate()
    daemon.wait(PATIENCE_S)
    broker.kill()


@pytest.fixture
def desk(surroundings, tmp_path: Path) -> Path:
    """The folder in which the blocks of a page run: the configuration of the daemon, and its broker's password."""
    home = Path(surroundings["HOME"])
    shutil.copy(home / ".config/posturewatch/posturewatch.toml", tmp_path / "my.toml")
    (tmp_path / "STATE_FOLDER").mkdir()
    (tmp_path / "STATE_FOLDER/broker-password").write_text("any\n")
    (tmp_path / "batch.bin").write_bytes(bytes(24))
    (tmp_path / "config").symlink_to(ROOT / "config")
    return tmp_path


def run_line(line: str, folder: Path, environ: dict[str, str]) -> None:
    """One line of shell; an endless one must still be at work after a moment, and one demonstration is enough."""
    if line == DEMO and environ.get("SEEN"):
        return
    for pattern, better in INSTEAD:
        line = pattern.sub(better.format(port=environ["PORT"]), line)
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    endless = bool(ENDLESS.search(line))
    try:
        said, _ = process.communicate(timeout=LOOK_S if endless else PATIENCE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
        assert endless, f"{line}\ndid not end: {said}"
        assert process.returncode in (*INTERRUPTED, -signal.SIGKILL), f"{line}\n{said}"
    else:
        is_right = process.returncode in (INTERRUPTED if endless else (0,)) or NOTHING_OPEN.search(said)
        assert is_right, f"{line}\n{said}"
    assert "Traceback" not in said, f"{line}\n{said}"
    environ |= {"SEEN": "yes"} if line.startswith(DEMO) else {}


def run_python(text: str, folder: Path, environ: dict[str, str]) -> None:
    """Tests run in pytest, with the plugin that the page names; everything else as it is."""
    if "def test_" in text:
        (folder / "conftest.py").write_text('pytest_plugins = ["posturewatch_sim.pytest_plugin"]\n')
        (folder / "test_page.py").write_text(text)
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    else:
        words = [sys.executable, "-c", text]
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr


def read_toml(text: str, folder: Path, environ: dict[str, str]) -> None:
    """A scenario, a preset, or a configuration, which gets a wearer where it only shows a part."""
    table = tomllib.loads(text)
    if "script" in table:
        (folder / "page.toml").write_text(text)
        run_line("posturewatch simulate page.toml --seed 1 --show --duration 1h", folder, environ)
    elif all(isinstance(value, dict) and "kind" in value for value in table.values()):
        for place in (folder / "sensors", Path(environ["HOME"]) / ".config/posturewatch/sensors"):
            place.mkdir(exist_ok=True)
            (place / f"{next(iter(table))}.toml").write_text(text)
        run_line("posturewatch config check", folder, environ)
    else:
        whole = text if "[[wearer]]" in text else f"{WEARER}{text}"
        (folder / "page.toml").write_text(whole)
        run_line("posturewatch config check page.toml", folder, environ)


RUN: dict[str, Callable[[str, Path, dict[str, str]], None]] = {
    "sh": lambda text, folder, environ: [run_line(line, folder, environ) for line in read_lines(text)] and None,
    "python": run_python,
    "toml": read_toml,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, request):
    blocks = [block for block in read_blocks(page.read_text("utf-8")) if block.kind in RUN and block.reason is None]
    if not blocks:
        return
    folder, environ = request.getfixturevalue("desk"), request.getfixturevalue("surroundings")
    programs = {line.split()[0] for block in blocks if block.kind == "sh" for line in read_lines(block.text)}
    missing = [name for name in programs if "=" not in name and shutil.which(name, path=environ["PATH"]) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    for block in blocks:
        try:
            RUN[block.kind](block.text, folder, environ)
        except AssertionError as error:
            pytest.fail(f"{page.relative_to(ROOT)}:{block.line}: {error}\n(or say why not: <!-- not run: reason -->)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_hides_in_a_block_that_is_not_labelled(page):
    hidden = [
        block.line for block in read_blocks(page.read_text("utf-8")) if not block.kind and COMMAND.search(block.text)
    ]
    assert hidden == [], "label these blocks sh"


def test_a_page_that_lies_would_be_found(desk, surroundings):
    for line in (
        "posturewatch status --wearer nobody-here",
        "false | true",
        "posturewatch monitor --broker 127.0.0.1:1",
    ):
        with pytest.raises(AssertionError):
            run_line(line, desk, surroundings)
    with pytest.raises(AssertionError):
        read_toml('[home_assistant]\nprefiks = "x"\n', desk, surroundings)


def test_reasons_are_given_in_words():
    reasons = [block.reason for page in PAGES for block in read_blocks(page.read_text("utf-8")) if block.reason]
    assert reasons
    assert [reason for reason in reasons if len(reason.split()) < 3] == []
