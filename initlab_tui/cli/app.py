"""The command line. stdout is data, stderr progress and errors; 0 done, 1 failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import io
import sys
import unicodedata
from typing import Annotated

import typer

import initlab_tui
from initlab_tui.cli import control, explain, inspect, lab, options, query, recipe, train
from initlab_tui.cli.context import Places, complain, store_path
from initlab_tui.cli.context import data_dir as data_folder
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store.database import StoreError

BAD_INPUT = 2
COMMANDS = {
    "Train": (train.demo, train.run, train.compare),
    "Look": (
        *(inspect.inspect, explain.explain),
        *(query.leaderboard, query.runs, query.show, query.initializers, query.datasets, query.doctor),
    ),
    "Steer what trains": (control.stop, control.pause, control.resume),
}

app = typer.Typer(
    help="A lab bench for weight initialization: train the same network from different starts and see which "
    "was better, by how much, and whether the difference is real.",
    epilog="Begin with: initlab-tui demo",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
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
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Places(store, data_dir)
    if context.invoked_subcommand is None:
        if not lab.has_terminal():
            raise InvalidInputError.of(
                "terminal", "the lab needs a terminal on stdin, stdout and stderr: see initlab-tui --help for commands"
            )
        raise typer.Exit(lab.open_lab(store_path(context, None), data_folder(context, None)))


def main() -> None:
    """The `initlab-tui` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without σ shows ?, and no traceback
    for argument in sys.argv[1:]:
        if any(unicodedata.category(character) == "Cc" for character in argument):
            complain(f"argument {argument} has control characters, which no option allows")
            sys.exit(BAD_INPUT)
    try:
        app(prog_name="initlab-tui")
    except InvalidInputError as error:
        for message in dict.fromkeys(problem.message for problem in error.problems):
            complain(message)
        sys.exit(BAD_INPUT)
    except StoreError as error:
        complain(f"the store cannot be used: {error} (see initlab-tui doctor, or name another with --store)")
        sys.exit(BAD_INPUT)
