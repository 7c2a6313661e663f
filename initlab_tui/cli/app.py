"""The command line: data goes to stdout, progress and errors to stderr.

Exit codes: 0 success, 1 failure, 2 invalid input, 130 interrupted.
"""

from __future__ import annotations

import io
import sys
import traceback
import unicodedata
from typing import Annotated, Any

import typer

import initlab_tui
from initlab_tui.cli import attach, control, explain, inspect, interrupts, lab, options, output, query, recipe, train
from initlab_tui.cli.commands import Command, CommandGroup
from initlab_tui.cli.context import GlobalOptions, chosen_data_dir, chosen_store
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.store.database import StoreError

DEFECT = 1
BAD_INPUT = 2
# The base of Typer's errors about a command line: click's class, or the one of Typer's copy of click.
USAGE_ERRORS: tuple[type[Exception], ...] = (typer.BadParameter.__mro__[1],)
COMMANDS = {
    "Train": (train.demo, train.run, train.compare),
    "Show": (
        *(inspect.inspect, explain.explain),
        *(query.leaderboard, query.runs, query.show),
        *(query.initializers, query.networks, query.datasets, query.doctor),
    ),
    "Control runs": (attach.attach, control.stop, control.pause, control.resume, control.retry),
}

app = typer.Typer(
    cls=CommandGroup,
    help="Compare weight initializers: train the same network with each of them and see which is better, "
    "by how much, and whether the difference is real.",
    epilog="Start with: initlab-tui demo",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=panel)(command)
app.add_typer(recipe.app, name="recipe", rich_help_panel="Train")


def _version(asked: bool) -> None:
    if asked:
        print(f"initlab-tui {initlab_tui.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    version: Annotated[  # noqa: ARG001 - its callback answers it
        bool, options.flag("--version", "Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = GlobalOptions(store, data_dir)
    if context.invoked_subcommand is None:
        if not lab.has_terminal():
            raise InvalidInputError.of(
                "terminal", "the lab needs a terminal on stdin, stdout and stderr: see initlab-tui --help for commands"
            )
        raise typer.Exit(lab.open_lab(chosen_store(context, None), chosen_data_dir(context, None)))


def main() -> int:
    """Run the command given by the arguments, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without σ shows ? instead
    try:
        return _run()
    except KeyboardInterrupt:
        return interrupts.INTERRUPTED
    except Exception:  # a defect of this program; Python would print the traceback without escaping its text
        sys.stderr.write(plain(traceback.format_exc()))
        return DEFECT
    finally:
        interrupts.exit_at_once()


def _run() -> int:
    for argument in sys.argv[1:]:
        if any(unicodedata.category(character) == "Cc" for character in argument):
            output.error(f"argument {argument} contains control characters, which no option allows")
            return BAD_INPUT
    try:
        # Not standalone, because Typer would print errors without escaping the text of the arguments.
        return app(prog_name="initlab-tui", standalone_mode=False) or 0
    except USAGE_ERRORS as error:
        output.error(_usage_message(error))
    except InvalidInputError as error:
        for message in dict.fromkeys(problem.message for problem in error.problems):
            output.error(message)
    except StoreError as error:
        output.error(f"the store cannot be used: {error} (see initlab-tui doctor, or name another with --store)")
    return BAD_INPUT


def _usage_message(error: Any) -> str:
    """Return Typer's message about an invalid command line, with the command that shows help."""
    return f"{error.format_message().rstrip('.')} (see {error.ctx.command_path if error.ctx else 'initlab-tui'} --help)"
