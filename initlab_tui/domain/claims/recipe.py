"""A recipe: a published experiment and its claims, which can be run and checked."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import quoted, unknown
from initlab_tui.domain.fields import L2, Activation, DatasetName, Hidden, LearningRate, Optimizer, hidden_text
from initlab_tui.domain.initializer import InitializerField
from initlab_tui.domain.network import NetworkField
from initlab_tui.domain.parse_comparison import seeds_from
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.validation import Frozen

# The quantities that a claim can be about; `services/run_metrics.py` reads them from the store.
# Both ratios are measured before the first step: the standard deviation of the activations in the last hidden layer
# divided by that in the first, and the RMS of the back-propagated gradient in the first divided by that in the last.
OBSERVABLES = ("test_accuracy", "test_loss", "activation_ratio", "backprop_ratio")
DEFAULT_SEEDS = 3

Kind = Literal["published", "measured"]
Verdict = Literal["reproduced", "not_reproduced", "undecided"]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be text, got {quoted(value)}")
    return value.strip()


def _observable(value: object) -> str:
    if value not in OBSERVABLES:
        raise ValueError(unknown("observable", str(value), OBSERVABLES))
    return str(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be a number, got {quoted(value)}")
    return float(value)


def _epoch(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a whole number >= 0 (0 is before the first step), got {quoted(value)}")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Observable = Annotated[str, BeforeValidator(_observable)]
Finite = Annotated[float, BeforeValidator(_number)]


class Source(Frozen):
    """The publication that makes the claims, and the place in the publication."""

    author: Text
    title: Text
    year: Annotated[int, Field(ge=1900, le=2100)]
    place: Text

    def __str__(self) -> str:
        return f"{self.author} ({self.year}), {self.title}, {self.place}"


class Experiment(Comparison):
    """One comparison of a recipe; `seeds` may be a number of seeds, counted from the seed of the base."""

    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: object) -> object:
        """Turn a number of seeds into seeds, and give the base the first initializer if it has none."""
        if not isinstance(given, Mapping):
            return given
        fields: dict[str, Any] = {"seeds": DEFAULT_SEEDS, **given}
        base = fields.get("base")
        if not isinstance(fields["seeds"], int | list | tuple):
            raise ValueError(f"seeds must be a count, or a list of whole numbers, got {quoted(fields['seeds'])}")
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
    """The runs with the given values in every field, over all seeds; plain text is an initializer."""

    experiment: str | None = None
    initializer: InitializerField | None = None
    network: NetworkField | None = None
    hidden: Hidden | None = None
    activation: Activation | None = None
    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    l2: L2 | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: object) -> object:
        return {"initializer": given} if isinstance(given, str) else given

    def includes(self, experiment: str, spec: RunSpec) -> bool:
        """Return whether a run of `spec` in the named experiment belongs to the group."""
        wanted = {name: value for name in Group.model_fields if (value := getattr(self, name)) is not None}
        has = dict(spec) | {"experiment": experiment}
        return all(has[name] == value for name, value in wanted.items())

    def __str__(self) -> str:
        given = self.model_dump(mode="json", exclude_none=True)
        if self.hidden is not None:
            given["hidden"] = hidden_text(self.hidden)
        return " ".join(f"{name} {value}" for name, value in given.items())


class Claim(Frozen):
    """A claim, and the bounds within which the 95 % interval over the seeds must lie.

    The interval is that of the observable of a `group`; with `against`, of its difference from that group, paired by
    seed; with `order`, of the difference between each two neighbours, which may be at most `tolerance` below 0. The
    bounds are `equals` ± `tolerance`, or `at_least` and `at_most`. Accuracies are fractions. The observable is measured
    after `epoch`, by default the last. With `any_dataset` the claim is also made about the substitute dataset.
    """

    statement: Text
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
    def _check_bounds(self) -> Self:
        bounded = self.at_least is not None or self.at_most is not None
        if (self.group is None) == (not self.order):
            raise ValueError("a claim needs either a group or an order")
        if self.order and (len(self.order) < 2 or self.against or bounded or self.equals is not None):
            raise ValueError("order must name at least two groups, without against, equals, at_least or at_most")
        if self.group and bounded == (self.equals is not None):
            raise ValueError("a group needs either equals with its tolerance, or at_least or at_most")
        if (self.equals is not None or self.order) and self.tolerance is None:
            raise ValueError("equals and order need a tolerance, e.g. tolerance = 0.01")
        if self.observable == "test_accuracy":
            for name in ("equals", "tolerance", "at_least", "at_most"):
                if abs(getattr(self, name) or 0.0) > 1:
                    given = getattr(self, name)
                    raise ValueError(f"{name} must be a fraction from -1 to 1, got {given:g}")
        if self.bounds[0] > self.bounds[1]:
            raise ValueError(f"at_least must be <= at_most, got {self.at_least} and {self.at_most}")
        if (self.kind == "measured") != (self.date is not None):
            raise ValueError("kind measured needs a date, e.g. date = 2026-11-23; kind published has none")
        return self

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(group for group in (self.group, self.against, *self.order) if group)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper bound for the interval."""
        tolerance = self.tolerance or 0.0
        if self.order:
            return -tolerance, float("inf")
        if self.equals is not None:
            return self.equals - tolerance, self.equals + tolerance
        low = float("-inf") if self.at_least is None else self.at_least
        return low, float("inf") if self.at_most is None else self.at_most


class Figure(Frozen):
    """The recorded result of one claim: the observed value as text, and the verdict."""

    observed: Text
    n: Annotated[int, Field(ge=0)]
    verdict: Verdict


class Measured(Frozen):
    """The results of this project's last run of the recipe: one figure for each claim, in the same order."""

    date: datetime.date
    data: Text
    versions: Text
    figures: tuple[Figure, ...]


class Recipe(Frozen):
    """A published experiment that can be run again.

    `substitute_dataset` is used when the dataset of the experiments cannot be downloaded; then only claims with
    `any_dataset` are evaluated.
    """

    name: Text
    title: Text
    claim: Text
    source: Source
    notes: str = ""
    substitute_dataset: DatasetName | None = None
    experiments: tuple[Experiment, ...]
    claims: tuple[Claim, ...]
    measured: Measured | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for field in ("experiments", "claims"):
            if not getattr(self, field):
                raise ValueError(f"{field} must not be empty")
        names = [experiment.name for experiment in self.experiments]
        if len(set(names)) < len(names):
            raise ValueError(f"experiments must have different names, got {', '.join(map(repr, names))}")
        if self.measured and len(self.measured.figures) != len(self.claims):
            given, wanted = len(self.measured.figures), len(self.claims)
            raise ValueError(f"measured.figures must have one entry for each of the {wanted} claims, got {given}")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(experiment.base.dataset for experiment in self.experiments))

    @property
    def origin(self) -> RecipeOrigin:
        """The name and the version: 16 hex digits that change with the experiments and claims, but not with the seeds.

        It is stored with every comparison that is trained for the recipe.
        """
        content = self.model_dump(mode="json", include={"experiments", "claims"})
        for experiment in content["experiments"]:
            del experiment["seeds"]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return RecipeOrigin(self.name, digest[:16])

    def specs(self) -> Iterator[tuple[str, RunSpec]]:
        """Yield the name of the experiment and the spec of every run."""
        for experiment in self.experiments:
            for spec in experiment.runs():
                yield experiment.name, spec

    def with_seeds(self, seeds: str) -> Recipe:
        """Return the recipe with another number of seeds.

        Raises:
            InvalidInputError: if `seeds` is not a positive whole number.
        """
        return self._changed(lambda one: {"seeds": seeds_from(str(one.seeds[0]), seeds)})

    def with_datasets(self, dataset_of: Callable[[str], str]) -> Recipe:
        """Return the recipe with the dataset of each experiment replaced by the result of `dataset_of`."""
        return self._changed(
            lambda one: {"base": one.base.model_copy(update={"dataset": dataset_of(one.base.dataset)})}
        )

    def _changed(self, change: Callable[[Experiment], dict[str, Any]]) -> Recipe:
        experiments = tuple(one.model_copy(update=change(one)) for one in self.experiments)
        return self.model_copy(update={"experiments": experiments})
