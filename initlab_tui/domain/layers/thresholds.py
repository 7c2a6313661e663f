"""The bounds beyond which a layer metric is a problem, with their sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Outside:
    """Values that are a problem: below `low` or above `high`, as multiples of `relative_to` if it is given.

    Shares are formatted in percent.
    """

    low: float = -math.inf
    high: float = math.inf
    is_share: bool = False
    relative_to: str = ""

    def has(self, value: float) -> bool:
        """Return whether `value` is a problem; NaN is one."""
        return not self.low <= value <= self.high

    @property
    def healthy(self) -> str:
        """The healthy values as text: `0.1 to 10`, `up to 95%`."""
        low, high = (f"{bound:.0%}" if self.is_share else f"{bound:g}" for bound in (self.low, self.high))
        return f"up to {high}" if self.low == -math.inf else f"{low} to {high}"


# The root mean square of a layer's signal relative to the input's, and of the gradient at the first hidden layer
# relative to the last. Glorot & Bengio 2010 (AISTATS, section 4.2) and He et al. 2015 (ICCV, section 2.2) require that
# neither vanishes nor explodes, but give no bound. A factor of ten, a hundred in variance, is this program's choice:
# with Adam on MNIST, a network with 0.6 trains as well as one with 1, and networks beyond these bounds do not.
SIGNAL = Outside(0.1, 10.0, relative_to="the input's")
GRADIENT = Outside(0.1, 10.0, relative_to="the last hidden layer's")
# If more than half of a layer's outputs are in the flat parts, more than half of the gradient stops there.
SATURATED = Outside(high=0.5, is_share=True)
# A ReLU network is dead from the beginning if a whole layer outputs 0 (Lu, Shin, Su & Karniadakis 2020, Dying ReLU and
# Initialization). Single dead units are no problem: deep in a network with zero biases, about half of the units are on
# and half are off for every input, whatever the variance of the weights, because scaling them does not change the sign
# of a ReLU's input. So this share does not distinguish Glorot from He.
DEAD = Outside(high=0.95, is_share=True)
# Two units with parallel weights compute one feature and get one gradient, so they stay parallel (Goodfellow, Bengio
# & Courville 2016, Deep Learning, section 8.4).
DUPLICATES = Outside(high=0.5, is_share=True)
# Logits near 0 have a loss of ln(classes); a loss many times that means confident wrong predictions.
LOSS = Outside(high=10.0, relative_to="ln(classes)")

# A network with a loss below this share of ln(classes) has learned: the bounds above no longer apply.
LEARNED = 0.5
# Units with |cosine| above this are duplicates. With fewer inputs than this, random units are parallel by chance.
PARALLEL, MIN_FAN_IN = 0.9999, 8
# |tanh| > 0.97 has a slope below 0.06; a sigmoid outside 0.03..0.97 one below 0.03, an eighth of its steepest.
TANH_FLAT, SIGMOID_FLAT = 0.97, 0.03
# |z| above which an activation is flat.
FLAT: Mapping[str, float] = MappingProxyType({"tanh": math.atanh(TANH_FLAT), "sigmoid": math.log(1 / SIGMOID_FLAT - 1)})
