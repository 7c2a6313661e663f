"""The predicted statistics of the layers of a network, and their composition for networks of any graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.initialization import KernelDraw
from initlab_tui.domain.layers.graph import LayerGraph, Node
from initlab_tui.domain.theory.gaussian_moments import log_expectations
from initlab_tui.domain.theory.propagation import Propagation, Signal, Unknown, propagate


class LayerPrediction(NamedTuple):
    """The predicted statistics of one layer before training; NaN where theory does not reach.

    Means and standard deviations are over all inputs of a batch and all units of the layer at once, as `np.mean` and
    `np.std` of the whole (inputs, units) array estimate them. Values beyond the range of floats are 0 or inf.

    - `weight_std`: of a weight.
    - `preactivation_std`: √q, of the pre-activations x·W; their mean is 0.
    - `activation_mean`, `activation_std`: of φ of the pre-activations. The logits have no activation: φ is linear.
    - `variance_gain`: mean square of the layer's output relative to that of its input; 0 if the output is all 0.
    - `relative_grad_rms`: root mean square of ∂L/∂(this layer's pre-activations) relative to that of ∂L/∂logits, so
      1 for the logits. Whether L is the mean or the sum over a batch does not matter: both scale alike.
    - `chi1`: factor on the mean square of a small difference between two inputs, from the layer's input to its
      output: > 1 separates them (chaos), < 1 merges them (order).
    """

    # A tuple, not a dataclass, because thousands are built for every key typed into the setup pane.
    layer: str
    weight_std: float
    preactivation_std: float
    activation_mean: float
    activation_std: float
    variance_gain: float
    relative_grad_rms: float
    chi1: float


@dataclass(frozen=True)
class Prediction:
    """The predictions for the layers of a network, from the first to the logits.

    `reason` says why there is none for some of them.
    """

    layers: tuple[LayerPrediction, ...]
    reason: str = ""


def composed(graph: LayerGraph, draws: Sequence[KernelDraw], log_input: float) -> Prediction | None:
    """Predict the layers of a network by the rules for its nodes; `log_input` is ln E[x²] of its input.

    Returns None if a kernel has no formula, or a mean other than 0.
    """
    moments = {draw.node.name: draw.moments() for draw in draws}
    if any(each is None or each.mean for each in moments.values()):
        return None
    deviations = {name: each.stddev for name, each in moments.items() if each}
    variances = {name: 2 * math.log(each) if each else -math.inf for name, each in deviations.items()}
    found = propagate(graph, variances, log_input)
    reasons = [signal.reason for signal in found.signals.values() if isinstance(signal, Unknown)]
    layers = tuple(_layer(node, deviations[node.name], found) for node in graph.layers)
    return Prediction(layers, reasons[0] if reasons else "")


def _layer(node: Node, deviation: float, found: Propagation) -> LayerPrediction:
    before, here, after = (found.signals[name] for name in (node.inputs[0], node.name, node.activated))
    gradient = found.gradients.get(node.name, math.nan)
    if not isinstance(before, Signal) or not isinstance(here, Signal):
        unknown = math.nan
        return LayerPrediction(node.name, deviation, unknown, unknown, unknown, unknown, _root(gradient), unknown)
    mean, std, gain = math.nan, math.nan, math.nan
    if isinstance(after, Signal):
        rms = _root(after.log_square)
        mean, std = after.mean_ratio * rms, math.sqrt(max(0.0, 1 - after.mean_ratio**2)) * rms
        gain = _power(after.log_square - before.log_square)
    slope = log_expectations(node.activation).slope_square(here.log_square)
    chi1 = _power(here.log_square - before.log_square + slope)
    return LayerPrediction(node.name, deviation, _root(here.log_square), mean, std, gain, _root(gradient), chi1)


def _root(log: float) -> float:
    return _power(log / 2)


def _power(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf if log == log else log
