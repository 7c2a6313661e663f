"""The help: every key, and the meaning of words and signs."""

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
    ("initializer", "the distribution that a layer's weights are drawn from before the first step; biases start at 0"),
    ("σ", "standard deviation of the weights; “random” means nothing without it"),
    ("predicted", "what theory says about the signal before training; σ 0.05 ×11: the same σ in eleven layers"),
    (
        "▅▄▃▂▁ ×0.03",
        "signal per layer, logarithmic; ×0.03: the signal after the last hidden layer over the input's",
    ),
    (
        "▽ ◁ vanishing",
        "▽ forward: the signal falls below 0.1 of the input's; ◁ backward: the gradient does",
    ),
    ("△ exploding", "signal or gradient grows beyond 10 times; □ saturated: most outputs are in the flat parts"),
    ("= symmetric", "units have the same weights and learn the same; ✗ dead: a layer outputs 0 for every input"),
    ("signal at init", "the diagnosis of the layers before the first step; init shows its sign in a narrow table"),
    ("64x10", "ten hidden layers of 64 units; separate several networks with spaces"),
    ("test every", "also measure on the test set every N steps; 0: at the start and after each epoch only"),
    ("execution", "xla: compiled, fastest; graph: TensorFlow graph; eager: step by step, as lectures write it"),
    ("seed", "fixes the random weights and the order of the data: runs with the same seed can be paired"),
    ("acc %", "accuracy on the test set after the last step: mean over n seeds ± half the 95 % t interval"),
    ("vs #1", "difference to #1 in points, paired by seed; ?: undecided, its 95 % interval contains 0"),
    ("claims ✓ ✗ ?", "reproduced, not reproduced, undecided: by the 95 % interval over the seeds"),
    ("loss", "cross-entropy on the test set; guessing gives ln(classes), 2.303 for ten classes"),
    ("train loss ▇▃▁", "training loss over the steps, from 0 to its maximum; a gap where it was not finite"),
    ("train acc ▁▅▇", "training accuracy over the steps, from 0 to 100 %"),
    ("● ▸ ▾", "marked; a closed group, which enter opens; an open group"),
    ("✓ » · = ■ ~ ✗", "done, running, queued, paused, stopped, diverged, failed or crashed"),
    ("diverged", "the loss became NaN or infinite: a result, ranked after groups that did not diverge"),
    ("failed, crashed", "an error stopped the run, or its process died: this says nothing about the initializer"),
    ("claim", "a statement of a published experiment, compared with your runs of its recipe"),
)


class HelpScreen(ModalScreen[None]):
    """All keys, by the place where they work, and the meaning of words and signs."""

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
    first = Text("Select initializers in the setup with space, press r to train them, and compare them in the results.")
    parts: list[RenderableType] = [first]
    for title, keys in sections:
        parts += [Text(), Text(title, style="bold"), _rows([(key.shown, key.help) for key in keys])]
    return Group(*parts, Text(), Text("Words and signs", style="bold"), _rows(WORDS))


def _rows(pairs: Sequence[tuple[str, str]]) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, style="bold", min_width=15)
    made.add_column()
    for left, right in pairs:
        made.add_row(Text(left), Text(right))
    return made
