"""Recipes: a comparison, what its source claims of it, and expectations that a machine can check."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from initlab_tui.domain.errors import unknown
from initlab_tui.domain.fields import L2, Activation, DatasetName, Hidden, LearningRate, Optimizer, hidden_text
from initlab_tui.domain.parse_comparison import seeds_from
from initlab_tui.domain.spec import Comparison, Frozen, InitializerField, RunSpec

# What can be claimed of a run. Another observable is named here, and read from the store by `services/run_metrics.py`.
# The ratios are of the layers at epoch 0, before the first step: the last hidden layer's deviation of the activations
# over the first's, and the first's root mean square of the back-propagated gradient over the last's.
OBSERVABLES = ("test_accuracy", "test_loss", "activation_ratio", "backprop_ratio")
DEFAULT_SEEDS = 3

Kind = Literal["published", "measured"]
Verdict = Literal["reproduced", "not_reproduced", "undecided"]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be words, got {value!r}")
    return value.strip()


def _observable(value: object) -> str:
    if value not in OBSERVABLES:
        raise ValueError(unknown("observable", str(value), OBSERVABLES))
    return str(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be a number, got {value!r}")
    return float(value)


def _epoch(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a whole number >= 0, 0 for before the first step, got {value!r}")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Observable = Annotated[str, BeforeValidator(_observable)]
Finite = Annotated[float, BeforeValidator(_number)]


class Source(Frozen):
    """Where a claim was made: by whom, in what, when, and the place in it."""

    author: Text
    title: Text
    year: Annotated[int, Field(ge=1900, le=2100)]
    place: Text

    def __str__(self) -> str:
        return f"{self.author} ({self.year}), {self.title}, {self.place}"


class Experiment(Comparison):
    """One of a recipe's comparisons; `seeds` may be a count, from the base's seed up."""

    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, given: object) -> object:
        """A count of seeds as seeds, and the base with what the lists begin with."""
        if not isinstance(given, Mapping):
            return given
        fields: dict[str, Any] = {"seeds": DEFAULT_SEEDS, **given}
        base = fields.get("base")
        if not isinstance(fields["seeds"], int | list | tuple):
            raise ValueError(f"seeds must be a count, or a list of whole numbers, got {fields['seeds']!r}")
        if isinstance(fields["seeds"], int):
            first = base.get("seed", 0) if isinstance(base, Mapping) else 0
            fields["seeds"] = seeds_from(str(first), str(fields["seeds"]))
        initializers = fields.get("initializers")
        if isinstance(base, Mapping) and isinstance(initializers, list) and initializers:
            fields["base"] = {"initializer": initializers[0], **base}
        return fields

    @property
    def comparison(self) -> Comparison:
        return Comparison(**{name: getattr(self, name) for name in Comparison.model_fields})


class Group(Frozen):
    """Which runs are meant: those that have all that is given here, in every seed. Text is an initializer."""

    part: str | None = None
    initializer: InitializerField | None = None
    hidden: Hidden | None = None
    activation: Activation | None = None
    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    l2: L2 | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: object) -> object:
        return {"initializer": given} if isinstance(given, str) else given

    def holds(self, part: str, spec: RunSpec) -> bool:
        """Whether a run of `spec` in the part of that name is one of the group's."""
        wanted = {name: value for name in Group.model_fields if (value := getattr(self, name)) is not None}
        has = dict(spec) | {"part": part}
        return all(has[name] == value for name, value in wanted.items())

    def __str__(self) -> str:
        given = self.model_dump(mode="json", exclude_none=True)
        if self.hidden is not None:
            given["hidden"] = hidden_text(self.hidden)
        return " ".join(f"{name} {value}" for name, value in given.items())


class Claim(Frozen):
    """A claim and what would bear it out: where the 95 % interval over the seeds has to lie.

    Of one `group`, its observable; with `against`, the difference to that group, paired by seed; of an `order`,
    the differences between neighbours, each of which may fall behind by `tolerance` at most. It has to lie within
    `tolerance` of `equals`, or be `at_least` and `at_most` something. Accuracies are fractions. `epoch` is the one
    after which it is measured, the last where not given. `any_dataset` holds on the offline dataset as well.
    """

    claim: Text
    kind: Kind
    source: Text
    group: Group | None = None
    against: Group | None = None
    order: tuple[Group, ...] = ()
    observable: Observable = "test_accuracy"
    epoch: Annotated[int, BeforeValidator(_epoch)] | None = None
    equals: Finite | None = None
    tolerance: Annotated[Finite, Field(ge=0)] | None = None
    at_least: Finite | None = None
    at_most: Finite | None = None
    date: datetime.date | None = None
    any_dataset: bool = False

    @model_validator(mode="after")
    def _is_one_claim(self) -> Self:
        bounded = self.at_least is not None or self.at_most is not None
        if (self.group is None) == (not self.order):
            raise ValueError("an expectation needs either a group or an order")
        if self.order and (len(self.order) < 2 or self.against or bounded or self.equals is not None):
            raise ValueError("order must name two groups or more, without against, equals, at_least and at_most")
        if self.group and bounded == (self.equals is not None):
            raise ValueError("a group needs either equals with its tolerance, or at_least or at_most")
        if (self.equals is not None or self.order) and self.tolerance is None:
            raise ValueError("equals and order need the tolerance that they are held to, e.g. tolerance = 0.01")
        if self.observable == "test_accuracy":
            for name in ("equals", "tolerance", "at_least", "at_most"):
                if abs(getattr(self, name) or 0.0) > 1:
                    given = getattr(self, name)
                    raise ValueError(f"{name} must be a fraction, -1 to 1, as accuracies are, got {given:g}")
        if self.bounds[0] > self.bounds[1]:
            raise ValueError(f"at_least must be <= at_most, got {self.at_least} and {self.at_most}")
        if (self.kind == "measured") != (self.date is not None):
            raise ValueError("what this project measured has a date, and nothing else has, e.g. date = 2026-11-23")
        return self

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(group for group in (self.group, self.against, *self.order) if group)

    @property
    def bounds(self) -> tuple[float, float]:
        """What the interval has to lie within."""
        tolerance = self.tolerance or 0.0
        if self.order:
            return -tolerance, float("inf")
        if self.equals is not None:
            return self.equals - tolerance, self.equals + tolerance
        low = float("-inf") if self.at_least is None else self.at_least
        return low, float("inf") if self.at_most is None else self.at_most


class Figure(Frozen):
    """What one expectation came to: what was observed, in words, and the verdict."""

    observed: Text
    n: Annotated[int, Field(ge=0)]
    verdict: Verdict


class Measured(Frozen):
    """What this project measured when it last ran the recipe: a figure for each expectation, in their order."""

    date: datetime.date
    data: Text
    versions: Text
    figures: tuple[Figure, ...]


class Recipe(Frozen):
    """A published experiment, to be run again.

    `offline_dataset` stands in where the parts' own cannot be had; only what holds on any dataset is judged then.
    """

    name: Text
    title: Text
    claim: Text
    source: Source
    notes: str = ""
    offline_dataset: DatasetName | None = None
    parts: tuple[Experiment, ...]
    expectations: tuple[Claim, ...]
    measured: Measured | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for field in ("parts", "expectations"):
            if not getattr(self, field):
                raise ValueError(f"{field} must have at least one, got none")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"parts must each have a name of their own, got {', '.join(map(repr, names))}")
        if self.measured and len(self.measured.figures) != len(self.expectations):
            given, wanted = len(self.measured.figures), len(self.expectations)
            raise ValueError(f"measured.figures must be one for each of the {wanted} expectations, got {given}")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.base.dataset for part in self.parts))

    def specs(self) -> Iterator[tuple[str, RunSpec]]:
        """Each run with the name of its part."""
        for part in self.parts:
            for spec in part.runs():
                yield part.name, spec

    def with_seeds(self, seeds: str) -> Recipe:
        """The same over another number of seeds.

        Raises:
            InvalidInputError: when that is no number of seeds.
        """
        return self._with_parts(lambda part: {"seeds": seeds_from(str(part.seeds[0]), seeds)})

    def on(self, dataset_of: Callable[[str], str]) -> Recipe:
        """The same on other datasets, each found from the part's own."""
        return self._with_parts(
            lambda part: {"base": part.base.model_copy(update={"dataset": dataset_of(part.base.dataset)})}
        )

    def _with_parts(self, change: Callable[[Experiment], dict[str, Any]]) -> Recipe:
        return self.model_copy(update={"parts": tuple(part.model_copy(update=change(part)) for part in self.parts)})
