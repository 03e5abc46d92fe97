"""Where in a TOML text each key stands.  `tomllib` gives no positions, and a message without one is half a message."""

from __future__ import annotations

import re

Key = str | int
Path = tuple[Key, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"^\s*({_DOTTED})\s*=")
_STRING_OR_COMMENT = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|#.*""")


def locate_keys(text: str) -> dict[Path, int]:
    """The line of each key and table, by path; members of arrays of tables are counted from 0.

    The text is valid TOML: keys inside inline tables are left out, their parent's line stands for them.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not depth and not quote:
            if header := _TABLE.match(line):
                table = _open_table(header[1] == "[[", _split(header[2]), counts)
                lines.setdefault(table, number)
                continue
            if assignment := _ASSIGNMENT.match(line):
                lines[table + _split(assignment[1])] = number
        depth, quote = _follow(line, depth, quote)
    return lines


def find_line(lines: dict[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return None


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _open_table(is_array: bool, names: Path, counts: dict[Path, int]) -> Path:
    """The path of the table that a header opens, with the index of each array of tables on the way."""
    path: Path = ()
    for at, name in enumerate(names):
        path += (name,)
        if is_array and at == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _follow(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Open brackets and an open multi-line string at the end of `line`."""
    while quote or '"""' in line or "'''" in line:
        if quote:
            end = line.find(quote)
            if end < 0:
                return depth, quote
            line, quote = line[end + 3 :], ""
        else:
            start, quote = min((at, mark) for mark in ('"""', "'''") if (at := line.find(mark)) >= 0)
            depth += _brackets(line[:start])
            line = line[start + 3 :]
    return depth + _brackets(line), ""


def _brackets(text: str) -> int:
    bare = _STRING_OR_COMMENT.sub("", text)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
