"""Every key of the lab, in one ordered table: bindings, footer, help, palette and README come from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """An action, its keys and its texts.

    `keys` are Textual's names of keys, of which the footer shows the first; `label` is in the footer if `show` is true,
    and `help` is the sentence in the help and the palette.
    """

    keys: str
    action: str
    label: str
    help: str
    show: bool = True
    priority: bool = False

    @property
    def shown(self) -> str:
        """The keys as they are written for people: `r, F5, ^r`."""
        return ", ".join(_shown(key) for key in self.keys.split(","))


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "space": "space",
    "enter": "enter",
    "escape": "esc",
    "delete": "del",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "home": "home",
    "end": "end",
    "tab": "tab",
}


def _shown(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _NAMES.get(key, key.upper() if len(key) > 1 and key[0] == "f" and key[1:].isdigit() else key)


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Return Textual's bindings for the keys of a table."""
    made: list[BindingType] = []
    for key in keys:
        for number, name in enumerate(key.keys.split(",")):
            made.append(
                Binding(
                    name,
                    key.action,
                    key.label,
                    show=key.show and number == 0,
                    key_display=_shown(name),
                    tooltip=key.help,
                    # Keys that work everywhere come before the text field that has the focus.
                    priority=key.priority or name in PRIORITY,
                )
            )
    return made


PRIORITY = ("f1", "f5", "ctrl+r", "ctrl+c", "ctrl+q")

LAB = (
    Key("r,f5,ctrl+r", "run", "Run", "queue and train the comparison in the setup"),
    Key("p", "pause", "Pause", "pause or resume the running comparison"),
    Key("x", "stop", "Stop", "stop the running comparison; recorded metrics are kept"),
    Key("X", "stop_all", "Stop all", "stop all runs that are queued, running or paused", show=False),
    Key("c", "chart", "Chart", "draw the marked groups and runs in one chart, or all that are shown"),
    Key("e", "recipes", "Recipes", "fill the setup from a published experiment", show=False),
    Key("v", "claims", "Claims", "compare the claims of recipes with your results", show=False),
    Key("1,f2", "pane('setup')", "Setup", "go to the setup", show=False),
    Key("2,f3", "pane('training')", "Training", "go to the training", show=False),
    Key("3,f4", "pane('results')", "Results", "go to the results", show=False),
)

EVERYWHERE = (
    Key("question_mark,f1", "help", "Help", "show all keys, and what the words mean"),
    Key("ctrl+p", "command_palette", "Palette", "find any action or theme by its name", show=False),
    Key("q,ctrl+q,ctrl+c", "quit", "Quit", "quit; runs can keep running in the background"),
)

SETUP = (
    Key("space", "tick", "Select", "select the initializer, or deselect it"),
    Key(
        "enter",
        "edit",
        "Edit",
        "edit the initializer's parameters; enter accepts them, esc restores the old ones",
    ),
    Key("plus", "another", "Copy", "copy the initializer, to compare other parameters"),
    Key("tab", "fields", "Fields", "go to the fields", show=False, priority=True),
    Key("minus,delete", "remove", "Remove", "remove a line that was added with +", show=False),
)

FIELD = (
    # With priority: they take effect before the field reads the next key.
    Key("enter,tab", "app.focus_next", "Next", "go to the next field", priority=True),
    Key("ctrl+u", "delete_left_all", "Clear", "delete everything left of the cursor", priority=True),
    Key("escape", "leave", "List", "go back to the list of initializers", priority=True),
    Key("ctrl+r", "screen.run", "Run", "run, from any field"),
    Key("f3", "screen.pane('training')", "Training", "go to the training"),
    Key("f4", "screen.pane('results')", "Results", "go to the results"),
    Key("f1", "app.help", "Help", "show the help"),
    Key("ctrl+q", "app.quit", "Quit", "quit, from any field"),
)

CHOICE = (
    Key("enter", "choose", "Choose", "open the list of choices; in the list, choose the value under the cursor"),
    Key("space", "tick", "Tick", "in the list, tick one of several activations or optimizers to compare", show=False),
    Key("up", "move(-1)", "Up", "move the cursor up in the list; letters lead to the value that begins so", show=False),
    Key("down", "move(1)", "Down", "move the cursor down in the list", show=False),
    Key("left", "change(-1)", "Previous", "choose the previous value, with the list closed", show=False),
    Key("right", "change(1)", "Following", "choose the following value, with the list closed", show=False),
    Key("tab", "app.focus_next", "Next", "go to the next field", show=False, priority=True),
    Key("escape", "leave", "Back", "close the list and restore the value; again: go back to the initializers"),
)

PARAMETER = (
    Key(
        "enter",
        "next_parameter",
        "Next",
        "go to the initializer's next parameter; from the last one, back to the list",
        priority=True,
    ),
    Key("escape", "leave", "Restore", "restore the old values and go back to the list", priority=True),
)

TRAINING = (
    Key("k", "skip", "Skip", "stop only this run; the next one continues"),
    Key("enter,i", "details", "Details", "show the details of the run under the cursor"),
    Key("l", "layers", "Layers", "show the layers of the run under the cursor over its steps, as a heat map"),
    Key(
        "R",
        "resume",
        "Resume",
        "resume the run if it failed, crashed or was stopped; without a checkpoint, queue it again",
    ),
    Key("f", "follow", "Follow", "keep the cursor on the running run", show=False),
)

RESULTS = (
    Key("enter", "expand", "Open", "open a group into its runs, or show the details of a run"),
    Key("space", "mark", "Mark", "mark for chart, delete, rename and tag"),
    Key("s", "sort", "Sort", "choose the column to sort by; again to reverse the order"),
    Key("slash", "filter", "Filter", "show only groups that contain all words that you type; esc shows all"),
    Key("o", "only", "Only last", "show only the newest comparison, or all", show=False),
    Key("i", "details", "Details", "show the details of the run, or of the group's first run", show=False),
    Key("l", "layers", "Layers", "show the layers of the run, or of the group's first run, as a heat map", show=False),
    Key(
        "R",
        "resume",
        "Resume",
        "resume the marked runs that failed, crashed or were stopped; without a checkpoint, queue them again",
        show=False,
    ),
    Key("d,delete", "delete", "Delete", "delete the marked runs, or those under the cursor", show=False),
    Key("u,ctrl+z", "undo", "Undo", "restore the runs that were deleted last", show=False),
    Key("n", "rename", "Name", "name the marked runs, or those under the cursor", show=False),
    Key("t", "tag", "Tag", "tag them with words to filter by", show=False),
    Key("escape", "clear", "Clear", "clear the filter, then the marks"),
)

CHART = (
    Key("l", "metric('loss')", "Loss", "draw the loss"),
    Key("a", "metric('accuracy')", "Acc", "draw the accuracy"),
    Key("t", "split", "Test/train", "switch between test and training data"),
    Key("y", "log", "Log", "make the value axis logarithmic, or linear again"),
    Key("m", "smooth(1)", "Smooth", "smooth more: an exponential moving average over the steps"),
    Key("n", "smooth(-1)", "Less", "smooth less", show=False),
    Key("b", "spread", "Band", "show the seeds as an interval, as thin lines, or their mean alone"),
    Key("f", "fit", "Fit", "fit the value axis to the visible steps", show=False),
    Key("plus,equals_sign", "zoom(1)", "Zoom", "zoom in on the cursor"),
    Key("minus", "zoom(-1)", "Out", "zoom out", show=False),
    Key("z", "zoom(1, True)", "Zoom steps", "zoom in on the steps only, around the cursor", show=False),
    Key("Z", "zoom(-1, True)", "Widen steps", "zoom out of the steps only", show=False),
    Key("left", "pan(-1, 0)", "Left", "move the view to earlier steps", show=False),
    Key("right", "pan(1, 0)", "Right", "move the view to later steps", show=False),
    Key("up", "pan(0, 1)", "Up", "move the view to higher values", show=False),
    Key("down", "pan(0, -1)", "Down", "move the view to lower values", show=False),
    Key("0,home", "reset", "All", "show all again"),
    Key("comma", "cursor(-1)", "Cursor", "move the cursor one point to the left"),
    Key("full_stop", "cursor(1)", "Cursor", "move the cursor one point to the right", show=False),
    Key("less_than_sign", "cursor(-10)", "Cursor -10", "move the cursor ten points to the left", show=False),
    Key("greater_than_sign", "cursor(10)", "Cursor +10", "move the cursor ten points to the right", show=False),
    Key("g", "more", "More", "show the next entries of the legend, if not all fit", show=False),
    Key("escape,q,c", "close", "Close", "go back to the lab"),
)

LAYERS = (
    Key("m,right_square_bracket", "metric(1)", "Next metric", "show the next layer metric"),
    Key("n,left_square_bracket", "metric(-1)", "Previous", "show the previous metric"),
    Key("left", "move(0, -1)", "Earlier", "move the cursor to the previous measurement"),
    Key("right", "move(0, 1)", "Later", "move the cursor to the next measurement"),
    Key("up", "move(-1, 0)", "Up", "move the cursor to the previous layer", show=False),
    Key("down", "move(1, 0)", "Down", "move the cursor to the next layer", show=False),
    Key("escape,q,l,enter", "dismiss(None)", "Close", "go back"),
)

DETAILS = (
    Key("l", "layers", "Layers", "show its layers over the steps, as a heat map"),
    Key("escape,q,enter,i", "dismiss(None)", "Close", "go back to the lab"),
    Key("left", "neighbour(-1)", "Previous run", "show the previous run"),
    Key("right", "neighbour(1)", "Next run", "show the next run"),
)

CLAIMS = (Key("escape,q,v,enter", "dismiss(None)", "Close", "go back to the lab"),)

HELP = (Key("escape,q,question_mark,f1", "dismiss(None)", "Close", "close the help"),)

SECTIONS = (
    ("In the lab", LAB),
    ("Everywhere", EVERYWHERE),
    ("1 Setup: the initializers", SETUP),
    ("1 Setup: the fields", FIELD),
    ("1 Setup: fields with choices", CHOICE),
    ("1 Setup: the parameters of an initializer", PARAMETER),
    ("2 Training", TRAINING),
    ("3 Results", RESULTS),
    ("Chart", CHART),
    ("Details", DETAILS),
    ("Layers", LAYERS),
    ("Claims", CLAIMS),
    ("Help", HELP),
)
