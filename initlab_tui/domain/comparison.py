"""A comparison: the runs to train from one base spec."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from initlab_tui.domain.fields import Activation, Hidden, LearningRate, Optimizer, Seed
from initlab_tui.domain.initializer import InitializerField
from initlab_tui.domain.network import Network, NetworkField
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.validation import Frozen


class Comparison(Frozen):
    """Initializers × seeds for one base spec, and for several networks, activations and so on if they are given.

    If `networks`, `hidden`, `activations`, `optimizers` or `learning_rates` is empty, that of the base is used. Only
    the network `mlp` has hidden widths.
    """

    base: RunSpec = RunSpec()
    initializers: tuple[InitializerField, ...]
    seeds: tuple[Seed, ...]
    activations: tuple[Activation, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    learning_rates: tuple[LearningRate, ...] = ()
    optimizers: tuple[Optimizer, ...] = ()
    networks: tuple[NetworkField, ...] = ()

    @model_serializer(mode="wrap")
    def _without_later_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit fields that came later and are at their default, so that recipes keep the version that they had."""
        dumped: dict[str, Any] = dump(self)
        for name in ("optimizers", "networks"):
            if not getattr(self, name):
                dumped.pop(name, None)
        if dumped["base"]["network"] == "mlp":
            del dumped["base"]["network"]
        return dumped

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        for name in ("initializers", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
        for name in ("initializers", "seeds", "activations", "hidden", "learning_rates", "optimizers", "networks"):
            values = getattr(self, name)
            if len(set(values)) < len(values):  # comparing each with each would take minutes for a hundred thousand
                twice = next(value for value, count in Counter(values).items() if count > 1)
                raise ValueError(f"{name} must differ from each other, got {twice} twice")
        return self

    def sized_networks(self) -> list[tuple[Network, tuple[int, ...]]]:
        """Return each network with its hidden widths: several for `mlp`, those of the base for any other."""
        return [
            (network, hidden)
            for network in self.networks or (self.base.network,)
            for hidden in (self.hidden or (self.base.hidden,) if network.is_mlp else (self.base.hidden,))
        ]

    def runs(self) -> Iterator[RunSpec]:
        """Yield every run, ordered by compiled network, then by seed.

        So each network is compiled once, and if the comparison is stopped, the finished runs are paired by seed.
        """
        base = dict(self.base)
        for (network, hidden), activation, optimizer, seed, learning_rate, initializer in itertools.product(
            self.sized_networks(),
            self.activations or (self.base.activation,),
            self.optimizers or (self.base.optimizer,),
            self.seeds,
            self.learning_rates or (self.base.learning_rate,),
            self.initializers,
        ):
            yield RunSpec(
                **base
                | {
                    "network": network,
                    "hidden": hidden,
                    "activation": activation,
                    "optimizer": optimizer,
                    "seed": seed,
                    "learning_rate": learning_rate,
                    "initializer": initializer,
                }
            )
