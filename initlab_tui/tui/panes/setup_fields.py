"""The fields of the setup form, and the texts in them for a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from initlab_tui.domain import parse_comparison
from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import Problem
from initlab_tui.domain.fields import hidden_text
from initlab_tui.tui.widgets.field import ChoiceField, FormField, TextField

SEVERAL = ("activation", "optimizer")  # fields with choices of which several can be ticked
# The form's field for the problems of fields that the form does not have.
_FIELDS = {
    "seed": "seeds",
    "initializers": "initializer",
    "activations": "activation",
    "networks": "network",
    "optimizers": "optimizer",
    "learning_rates": "learning_rate",
}


def field_name(problem: Problem) -> str:
    """Return the name of the form's field that a problem belongs to."""
    return _FIELDS.get(problem.field, problem.field)


def form_fields(texts: Mapping[str, str], devices: Sequence[str]) -> Iterator[FormField]:
    """Make the fields of the form; `texts` are their values."""
    datasets = [*((name, name) for name in DATASETS), (NPZ_PREFIX, "your own npz file")]
    yield ChoiceField("dataset", "Dataset", datasets, texts["dataset"])
    yield TextField("file", "File", texts["file"], "path/to.npz")
    yield TextField("network", "Network", texts["network"], "mlp, convnet, resnet …")
    yield TextField("hidden", "Hidden widths", texts["hidden"], "256,256 or 100x30")
    yield ChoiceField("activation", "Activation", _plain(ACTIVATIONS), texts["activation"], several=True)
    yield ChoiceField("optimizer", "Optimizer", _plain(OPTIMIZERS), texts["optimizer"], several=True)
    yield TextField("learning_rate", "Learning rate", texts["learning_rate"])
    yield TextField("l2", "L2", texts["l2"], "0: none")
    yield TextField("batch_size", "Batch size", texts["batch_size"])
    yield TextField("epochs", "Epochs", texts["epochs"])
    yield TextField("seeds", "Seeds", texts["seeds"], "3, or 3 from 10")
    yield TextField("eval_every", "Test every", texts["eval_every"], "steps; 0: each epoch")
    yield ChoiceField("execution", "Execution", _plain(EXECUTIONS), texts["execution"])
    yield ChoiceField("device", "Device", _plain(devices), texts["device"])


def _plain(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def _digits(value: float) -> str:
    """Return the shortest text that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def form_texts(comparison: Comparison, device: str) -> dict[str, str]:
    """Return the texts of the form's fields for a comparison."""
    base = comparison.base
    first, count = comparison.seeds[0], len(comparison.seeds)
    own = base.dataset.startswith(NPZ_PREFIX)
    return {
        "dataset": NPZ_PREFIX if own else base.dataset,
        "file": base.dataset.removeprefix(NPZ_PREFIX) if own else "",
        "network": " ".join(map(str, comparison.networks or (base.network,))),
        "hidden": " ".join(hidden_text(widths) for widths in comparison.hidden or (base.hidden,)),
        "activation": " ".join(comparison.activations or (base.activation,)),
        "optimizer": " ".join(comparison.optimizers or (base.optimizer,)),
        "learning_rate": " ".join(map(_digits, comparison.learning_rates or (base.learning_rate,))),
        "l2": _digits(base.l2),
        "batch_size": str(base.batch_size),
        "epochs": str(base.epochs),
        "seeds": f"{count} from {first}" if first else str(count),
        "eval_every": str(base.eval_every),
        "execution": "auto" if base.network.entry.dense and base.execution == "xla" else base.execution,
        "device": device,
    }


def parse_form(texts: Mapping[str, str], dataset: str, initializers: Sequence[str]) -> Comparison:
    """Parse the comparison that the form describes.

    Raises:
        InvalidInputError: naming every field that is wrong.
    """
    count, _, first = texts["seeds"].partition(" from ")
    return parse_comparison.comparison(
        initializers=list(initializers),
        networks=texts["network"].split() or [""],
        hidden=texts["hidden"].split() or [""],
        activations=texts["activation"].split() or [ACTIVATIONS[0]],
        optimizers=texts["optimizer"].split() or [OPTIMIZERS[0]],
        learning_rates=texts["learning_rate"].split() or [""],
        seed=first.strip() or "0",
        seeds=count.strip(),
        dataset=dataset,
        **{name: texts[name] for name in ("l2", "batch_size", "epochs", "eval_every", "execution")},
    )
