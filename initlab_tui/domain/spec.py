"""What is run: an initializer by name, one run's spec, and a comparison of many."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from initlab_tui.domain.catalog.initializers import CATALOGUE, Entry, Moments, Value
from initlab_tui.domain.errors import InvalidInputError, Problem, unknown
from initlab_tui.domain.fields import (
    L2,
    Activation,
    BatchSize,
    DatasetName,
    Epochs,
    EvalEvery,
    Execution,
    Hidden,
    LearningRate,
    Optimizer,
    Seed,
)

IMPORT_PREFIX = "import:"

T = TypeVar("T")


@dataclass(frozen=True)
class Initializer:
    """An initializer with all its parameters: a catalogue entry, or a person's own by `import:`.

    Written `NAME` or `NAME:param=value,param=value`; `str` gives the shortest such text that loses nothing,
    with the parameters without which the name means nothing (`random_normal:stddev=0.05`).
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an initializer as written on the command line.

        Raises:
            ValueError: for an unknown name or parameter, or a value out of bounds.
        """
        name, given = _split(text.strip())
        if name.startswith(IMPORT_PREFIX):
            return cls(_import_path(name), tuple((key, _literal(value)) for key, value in given.items()))
        entry = CATALOGUE.get(name)
        if entry is None:
            raise ValueError(_unknown_initializer(name))
        return cls(name, _fill(entry, given))

    @property
    def entry(self) -> Entry | None:
        """The catalogue's entry, or None for an `import:`."""
        return CATALOGUE.get(self.name)

    @property
    def is_imported(self) -> bool:
        """Whether this is a person's own, by `import:`."""
        return self.name.startswith(IMPORT_PREFIX)

    @property
    def is_data_dependent(self) -> bool:
        """Whether it is fitted to training images after the draw."""
        return self.entry is not None and self.entry.data_dependent

    def moments(self, fan_in: int, fan_out: int) -> Moments | None:
        """Mean and variance of one weight of a (fan_in, fan_out) kernel; None where no formula is known."""
        moments = self.entry.moments if self.entry else None
        return moments(dict(self.parameters), fan_in, fan_out) if moments else None

    def __str__(self) -> str:
        shown = [f"{key}={value}" for key, value in self.parameters if self._matters(key, value)]
        return f"{self.name}:{','.join(shown)}" if shown else self.name

    def _matters(self, key: str, value: Value) -> bool:
        parameter = self.entry.parameter(key) if self.entry else None
        return parameter is None or parameter.always_shown or value != parameter.default


def _unknown_initializer(name: str) -> str:
    if "," in name:
        return f"{name!r} is not one initializer: give each on its own"
    if "." in name:
        return f"unknown initializer {name!r}: your own is written {IMPORT_PREFIX}{name}"
    return unknown("initializer", name, [*CATALOGUE, f"{IMPORT_PREFIX}package.module.Name"])


def _split(text: str) -> tuple[str, dict[str, str]]:
    prefix = IMPORT_PREFIX if text.startswith(IMPORT_PREFIX) else ""
    name, _, rest = text.removeprefix(prefix).partition(":")
    given: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise ValueError(
                f"initializer {text!r}: {pair!r} must be param=value, "
                "as in random_normal:stddev=1.0 or random_uniform:minval=-1,maxval=1"
            )
        if key in given:
            raise ValueError(f"initializer {text!r}: parameter {key!r} is given twice")
        given[key] = value
    return prefix + name, given


def _fill(entry: Entry, given: Mapping[str, str]) -> tuple[tuple[str, Value], ...]:
    for key in given:
        if entry.parameter(key) is None:
            names = [parameter.name for parameter in entry.parameters]
            raise ValueError(
                unknown(f"parameter of {entry.name}", key, names)
                if names
                else f"{entry.name} takes no parameters, got {key!r}"
            )
    try:
        filled = tuple((p.name, p.parse(given.get(p.name, p.default))) for p in entry.parameters)
    except ValueError as error:
        raise ValueError(f"{entry.name}: {error}") from None
    wrong = entry.check(dict(filled))
    if wrong:
        raise ValueError(f"{entry.name}: {wrong}")
    return filled


def _import_path(name: str) -> str:
    parts = name.removeprefix(IMPORT_PREFIX).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{name!r} must be {IMPORT_PREFIX}package.module.Name")
    return name


def _literal(text: str) -> Value:
    if text in ("True", "False"):
        return text == "True"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _initializer(value: object) -> Initializer:
    return value if isinstance(value, Initializer) else Initializer.parse(str(value))


InitializerField = Annotated[
    InstanceOf[Initializer], BeforeValidator(_initializer), PlainSerializer(str, return_type=str)
]


class Frozen(BaseModel):
    """Data that is checked as it is made and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def checked(cls, **fields: object) -> Self:
        """Build from untrusted values.

        Raises:
            InvalidInputError: naming every field that is wrong.
        """
        return _translated(lambda: cls(**fields))

    def to_json(self) -> str:
        """One line of JSON that `from_json` turns back into an equal object."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: naming every field that is wrong.
        """
        return _translated(lambda: cls.model_validate_json(text))


def _translated(build: Callable[[], T]) -> T:
    try:
        return build()
    except ValidationError as error:
        raise InvalidInputError(
            Problem(_field(problem["loc"]), sentence(problem)) for problem in error.errors()
        ) from None


def _field(location: tuple[int | str, ...]) -> str:
    return next((str(part) for part in reversed(location) if isinstance(part, str)), "")


def sentence(problem: Mapping[str, Any]) -> str:
    """What pydantic found wrong, with the value; a field's own words where it has them."""
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}, got {problem['input']}"


EVALUATION_BATCH = 1000  # test images that are measured at once, whatever the batch of training


class LayerShape(NamedTuple):
    """One layer's kernel: the layer's name, and how many inputs and outputs a unit of it has."""

    layer: str
    fan_in: int
    fan_out: int


SPEC_SCHEMA = 1  # part of every spec's hash


class RunSpec(Frozen):
    """One training run, complete: what is trained on what, from which start, how and for how long.

    `eval_every` adds an evaluation on the test set every so many steps to those at step 0 and after each
    epoch; 0 adds none. An epoch is floor(training images / batch_size) steps over a fresh shuffle. `l2` adds
    (l2 / 2) × the sum of the squared kernels, biases left out, to what is minimized; Nielsen writes it λ / n. The
    losses that are reported stay the cross entropy alone.
    """

    dataset: DatasetName = "digits"
    hidden: Hidden = (256, 256)
    activation: Activation = "relu"
    initializer: InitializerField = Initializer("glorot_uniform")
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 0.001
    l2: L2 = 0.0
    batch_size: BatchSize = 128
    epochs: Epochs = 1
    eval_every: EvalEvery = 0
    execution: Execution = "xla"
    seed: Seed = 0

    @property
    def spec_hash(self) -> str:
        """Sixteen hex digits shared by exactly the specs that differ only in the seed.

        It is the start of the SHA-256 of canonical JSON: the version of the schema and the fields that differ from
        their default. So a new field with a neutral default changes no hash. Whoever changes a default, or what a
        field means, raises SPEC_SCHEMA and adds a migration that computes the stored hashes anew.
        """
        fields = self.model_dump(mode="json", exclude={"seed"}, exclude_defaults=True)
        canonical = json.dumps({"schema": SPEC_SCHEMA, "spec": fields}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def layer_shapes(self, shape: Sequence[int], classes: int) -> tuple[LayerShape, ...]:
        """The kernels of the network, from the first layer to the logits, for images of `shape`."""
        widths = (math.prod(shape), *self.hidden, classes)
        names = (*(f"dense_{number}" for number in range(1, len(widths) - 1)), "logits")
        return tuple(map(LayerShape, names, widths, widths[1:]))


class Comparison(Frozen):
    """Initializers × seeds over one base spec, and over networks, activations, optimizers and learning rates if given.

    An empty `hidden`, `activations`, `optimizers` or `learning_rates` means that of the base.
    """

    base: RunSpec = RunSpec()
    initializers: tuple[InitializerField, ...]
    seeds: tuple[Seed, ...]
    activations: tuple[Activation, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    learning_rates: tuple[LearningRate, ...] = ()
    optimizers: tuple[Optimizer, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_optimizers(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `optimizers` if it is empty, so that the version of a recipe is as it was before this field."""
        dumped: dict[str, Any] = dump(self)
        if not self.optimizers:
            dumped.pop("optimizers", None)
        return dumped

    @model_validator(mode="after")
    def _no_gaps_or_repeats(self) -> Self:
        for name in ("initializers", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} must have at least one, got none")
        for name in ("initializers", "seeds", "activations", "hidden", "learning_rates", "optimizers"):
            values = getattr(self, name)
            twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
            if twice is not None:
                raise ValueError(f"{name} must differ from each other, got {twice} twice")
        return self

    def runs(self) -> Iterator[RunSpec]:
        """Yield every run, one compiled network after the other; within one, seed by seed.

        So a network is compiled once, and what is done when a comparison is stopped is paired by seed.
        """
        base = dict(self.base)
        for hidden, activation, optimizer, seed, learning_rate, initializer in itertools.product(
            self.hidden or (self.base.hidden,),
            self.activations or (self.base.activation,),
            self.optimizers or (self.base.optimizer,),
            self.seeds,
            self.learning_rates or (self.base.learning_rate,),
            self.initializers,
        ):
            yield RunSpec(
                **base
                | {
                    "hidden": hidden,
                    "activation": activation,
                    "optimizer": optimizer,
                    "seed": seed,
                    "learning_rate": learning_rate,
                    "initializer": initializer,
                }
            )
