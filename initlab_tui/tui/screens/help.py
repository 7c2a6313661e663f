"""The help: every key, from the table that binds them, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from initlab_tui.tui.keys import HELP, SECTIONS, Key, bindings

WORDS = (
    ("initializer", "what a layer's weights are drawn from before the first step; biases start at 0"),
    ("σ", "standard deviation of the weights; “random” means nothing without it"),
    ("foretold", "what theory says of the signal before any training; σ 0.05 ×11: the same in eleven layers"),
    ("▅▄▃▂▁ ×0.03", "the signal by depth, logarithmic, and its size after the last hidden layer relative to the input"),
    ("▽ vanishing forward", "the signal falls below 0.1 of the input's; ◁ backward: the gradient, on its way down"),
    ("△ exploding", "signal or gradient grows beyond 10 times; □ saturated: most outputs are in the flat parts"),
    ("= symmetric", "units have the same weights and learn as one; ✗ dead: a layer that gives 0 for every input"),
    ("@0, at step 0", "what the layers were judged to be before the first step: whether it foretold the accuracy"),
    ("64x10", "ten hidden layers of 64 units; several networks are separated by blanks"),
    ("test every", "also measure on the test set every so many steps; 0: at the start and after each epoch"),
    ("execution", "xla: compiled, fastest; graph: TensorFlow's graph; eager: step by step, as a lecture writes it"),
    ("seed", "fixes the draw and the order of the data: runs of one seed are paired, whatever the initializer"),
    ("acc %", "accuracy on the test set after the last step: mean over n seeds ± half the 95 % t interval"),
    ("vs #1", "difference to the best in points, paired by seed; ? where the seeds cannot tell them apart"),
    ("claims ✓ ✗ ?", "reproduced, not reproduced, not decided: by the 95 % interval over the seeds"),
    ("loss", "cross entropy on the test set; ln(classes) is what guessing gives, 2.303 for ten classes"),
    ("tr loss ▇▃▁", "training loss over the steps, bars from 0 to its highest; a blank where it was not finite"),
    ("tr acc ▁▅▇", "training accuracy over the steps, bars from 0 to 100 %"),
    ("● ▸ ▾", "marked; a group that enter opens; one that is open"),
    ("✓ » · = ■ ~ ✗", "done, running, queued, paused, stopped, diverged, failed or crashed"),
    ("diverged", "the loss became NaN or infinite: a result, ranked after those that did not"),
    ("failed, crashed", "the run could not go on, or its process died: says nothing of the initializer"),
)


class HelpScreen(ModalScreen[None]):
    """All keys by place, and what the words mean."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 96; max-width: 100%; height: 100%; max-height: 48; padding: 0 1;
        border: round $primary; background: $surface; border-title-style: bold;
    }
    HelpScreen Static { height: auto; }
    """
    BINDINGS = bindings(HELP)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True) as scroll:
            scroll.border_title = "Help"
            scroll.border_subtitle = "↑ ↓ scroll   esc close"
            yield Static(_page(SECTIONS))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def _page(sections: Sequence[tuple[str, Sequence[Key]]]) -> RenderableType:
    first = Text("Tick initializers in the setup, press r, watch, and read the leaderboard. Tab: the next field.")
    parts: list[RenderableType] = [first]
    for title, keys in sections:
        parts += [Text(), Text(title, style="bold"), _rows([(key.shown, key.help) for key in keys])]
    return Group(*parts, Text(), Text("Words", style="bold"), _rows(WORDS))


def _rows(pairs: Sequence[tuple[str, str]]) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, style="bold", min_width=15)
    made.add_column()
    for left, right in pairs:
        made.add_row(Text(left), Text(right))
    return made
