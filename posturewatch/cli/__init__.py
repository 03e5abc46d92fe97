"""The command line: one file of this folder for each command, found by looking into it, imported when it is used.

A command's module has a click command named `command`; the first line of its docstring is its help in the list.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from posturewatch import __version__
from posturewatch.errors import PosturewatchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
BUG, INTERRUPTED = 1, 130
_TITLE = re.compile(r'"""(?:`posturewatch \w+`: )?(.*?)(?:"""|$)')


class Commands(click.Group):
    """Commands that cost nothing until one of them is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  the signature is click's
        """Every file of the folder that has one; other files are parts of commands."""
        return sorted(
            path.stem.replace("_", "-") for path in FOLDER.glob("[!_]*.py") if "def command(" in path.read_text("utf-8")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, read from the first lines of the files."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _read_title(name)) for name in self.list_commands(ctx)])


def _read_title(name: str) -> str:
    with (FOLDER / f"{name.replace('-', '_')}.py").open(encoding="utf-8") as file:
        found = _TITLE.match(file.readline())
    title = found[1].rstrip(". ") if found else ""
    return title[:1].upper() + title[1:]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="posturewatch")
def group() -> None:
    """Find prolonged static posture with a body-worn accelerometer, and remind of breaks over MQTT.

    A wellness tool, not a medical device.  To look around without a sensor: posturewatch demo
    """


def main() -> NoReturn:
    """Run the command line and leave with its exit code: 0, 1 bug, 2 usage, 3 refused outside, 130 interrupted."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: threads for sums of a second cost memory only
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read the metadata of every package
    sys.exit(_run())


def _run() -> int:
    try:
        code: Any = group.main(prog_name="posturewatch", standalone_mode=False)
    except click.exceptions.Abort:  # click's word for Ctrl-C
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except Exception as error:  # noqa: BLE001  the one place that catches everything
        return _explain(error)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """One line for what is wrong outside, a traceback for a bug."""
    leaves = list(_leaves(error))
    if any(isinstance(cause, BrokenPipeError) for leaf in leaves for cause in (leaf, leaf.__cause__)):
        _forget_output()  # whoever read our output has seen enough
        return 0
    expected = [leaf for leaf in leaves if isinstance(leaf, PosturewatchError)]
    if len(expected) < len(leaves):
        import traceback  # noqa: PLC0415  only a bug needs it

        traceback.print_exception(error)
        return BUG
    for line in dict.fromkeys(str(expected[0]).splitlines()):
        click.echo(f"posturewatch: {line}", err=True)
    return expected[0].exit_code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a task group, one by one."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _forget_output() -> None:
    """Nothing may fail at exit for a pipe that is closed already."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
