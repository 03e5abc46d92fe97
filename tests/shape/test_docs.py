"""The documentation holds: links resolve, printed commands exist, decisions keep their form."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from posturewatch.cli import group

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
DECISION_LINES = 60
FIRST_SCREEN = 40
HEADINGS = ["## Context", "## Choice", "## Price", "## How we would notice that it was wrong"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(posturewatch [^`\n]+)`(?!`)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read_commands(text: str, *, inline: bool = True) -> Iterator[list[str]]:
    """Each `posturewatch ...` of a page, as words: of blocks line by line and pipe by pipe, and of inline code."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():  # a command may go on on the next line
            for part in re.split(r"\s\|\s|&&", line):
                if re.match(r"\s*(?:\S*/)?posturewatch\s", part):
                    yield shlex.split(part, comments=True)[1:]
    for code in INLINE.findall(FENCE.sub("", text)) if inline else ():
        yield shlex.split(code)[1:]


def find_fault(words: list[str]) -> str | None:
    """What the command line would refuse, judged by click's own declarations; placeholders in capitals pass."""
    command: click.Command = group
    context = click.Context(group)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name!r}"
        command, context = found, click.Context(found, parent=context)
    options = {s: option for option in command.get_params(context) for s in (*option.opts, *option.secondary_opts)}
    for word in rest:
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in options:
            return f"no option {word!r}"
    return None


def parse_as_run(words: list[str]) -> str | None:
    """What click refuses of a command as it stands: required arguments, numbers, ranges, choices."""
    command: click.Command = group
    context = click.Context(group)
    rest = words[: next((at for at, word in enumerate(words) if re.match(r"\d?[<>]", word)), len(words))]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"no command {rest[0]!r}"
        command, context, rest = found, click.Context(found, parent=context), rest[1:]
    try:
        command.make_context(command.name, rest, parent=context.parent)
    except click.exceptions.Exit:  # --help and the like
        return None
    except click.UsageError as error:
        return error.format_message()
    return None


def all_commands() -> list[tuple[str, list[str]]]:
    return [(name_of(page), words) for page in PAGES for words in read_commands(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page):
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]
    assert missing == []


def anchors_of(text: str) -> set[str]:
    """What a link may name in a page: its headings, as GitHub and others spell them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_into_a_page_names_a_heading(page):
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target and "#" in target]
    wrong = []
    for target in targets:
        path, _, anchor = target.partition("#")
        there = (page.parent / path if path else page).read_text("utf-8")
        wrong += [target] if anchor not in anchors_of(there) else []
    assert wrong == []


def test_every_make_target_that_is_printed_exists():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    printed = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z][\w-]*)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert printed - targets == set()


def test_every_printed_command_exists():
    faults = [
        f"{page}: posturewatch {' '.join(words)}: {fault}"
        for page, words in all_commands()
        if (fault := find_fault(words))
    ]
    assert faults == []


def test_every_command_of_a_block_can_be_understood_as_it_stands():
    """Also those that need a sensor, and so are not run by tests/process/test_docs_run.py."""
    faults = [
        f"{name_of(page)}: posturewatch {' '.join(words)}: {fault}"
        for page in PAGES
        for words in read_commands(page.read_text("utf-8"), inline=False)
        if (fault := parse_as_run(words))
    ]
    assert faults == []


def test_the_readme_shows_how_to_run_replay_and_simulate():
    shown = {words[0] for page, words in all_commands() if page == "README.md"}
    assert {"run", "replay", "simulate"} <= shown


@pytest.mark.parametrize(
    "line", ["posturewatch dance", "posturewatch replay day.csv --colour red", "posturewatch config chek"]
)
def test_a_wrong_command_would_be_found(line):
    (words,) = read_commands(f"```sh\n{line}  # a comment\n```\n")
    assert find_fault(words) is not None
    assert parse_as_run(words) is not None


@pytest.mark.parametrize(
    "line", ["posturewatch decode", "posturewatch demo --speed 10000", "posturewatch hold --reason"]
)
def test_a_command_that_click_refuses_would_be_found(line):
    (words,) = read_commands(f"```sh\n{line} > file\n```\n")
    assert parse_as_run(words) is not None


def test_there_are_decisions():
    assert DECISIONS


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts_on_one_page(decision):
    lines = decision.read_text("utf-8").splitlines()
    assert [line for line in lines if line in HEADINGS] == HEADINGS
    assert len(lines) <= DECISION_LINES


def test_the_first_screen_has_picture_both_commands_and_the_disclaimer():
    first = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:FIRST_SCREEN])
    missing = [
        said
        for said in ("](docs/office-day.png)", "\nmake demo", "\nmake test", "wellness tool, not a medical device")
        if said not in first
    ]
    assert missing == []
