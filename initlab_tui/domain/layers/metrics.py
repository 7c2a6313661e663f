"""The registry of layer metrics: every measured metric of a layer or a network, declared once.

Tables, heat map, JSON, the store, `explain` and the diagnosis read it. To add a metric, add an entry here and the
function that measures it to `training/layer_measurement.py`.

Throughout: z = x·W + b are a layer's pre-activations, φ its activation, L the loss on the probe batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from initlab_tui.domain.layers.metric import LayerMetric, NetworkMetric
from initlab_tui.domain.layers.thresholds import DEAD, DUPLICATES, GRADIENT, LOSS, SATURATED

_GLOROT = "Glorot & Bengio 2010, AISTATS"
_KARPATHY = "Karpathy, CS231n notes, Neural Networks part 3"
_POOLE = "Poole et al. 2016, NeurIPS"
_SCHOENHOLZ = "Schoenholz et al. 2017, ICLR"
_SYMMETRY = "Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4"
_JACOBIAN = "Saxe, McClelland & Ganguli 2014, ICLR; Pennington, Schoenholz & Ganguli 2017, NeurIPS"

_layer_metrics = {
    metric.name: metric
    for metric in (
        LayerMetric(
            "preactivation_mean",
            "mean(z)",
            "mean of the pre-activations",
            "mean of a layer's pre-activations, over inputs and units",
            "mean(z) over the (inputs, units) array",
            "Near 0 with centred weights and zero biases. A mean far from 0 shifts every unit the same way.",
            _POOLE,
            also=("z_mean",),
            heading="z μ",
            scale="linear",
        ),
        LayerMetric(
            "preactivation_std",
            "std(z)",
            "standard deviation of the pre-activations",
            "standard deviation of a layer's pre-activations, over inputs and units",
            "std(z) over the (inputs, units) array; √q in theory, with centred weights and zero biases",
            "Constant through depth is good. It includes differences between units that are the same for every input: "
            "because of sigmoid's mean of ½, it may be large although nothing of the input is left.",
            _POOLE,
            also=("std", "z_std"),
            heading="z σ",
        ),
        LayerMetric(
            "activation_mean",
            "mean(φ(z))",
            "mean of the activations",
            "mean of a layer's output, over inputs and units",
            "mean(φ(z)) over the (inputs, units) array",
            "0 for odd activations such as tanh; above 0 for ReLU, which makes the inputs of the next layer similar.",
            _GLOROT,
            also=("mean", "act_mean"),
            heading="act μ",
            scale="linear",
        ),
        LayerMetric(
            "activation_std",
            "std(φ(z))",
            "standard deviation of the activations",
            "standard deviation of a layer's output, over inputs and units",
            "std(φ(z)) over the (inputs, units) array",
            "If it approaches 0 with depth, little reaches the logits; if it approaches 1 with tanh, the units "
            "saturate. ReLU's mean is not 0, so its variance is less than the mean square that the variance gain "
            "refers to.",
            _GLOROT,
            also=("act", "act_std"),
            heading="act σ",
        ),
        LayerMetric(
            "dead_share",
            "dead",
            "share of dead units",
            "share of ReLU units that output 0 for every input of the probe batch",
            "share of units j with z_ij <= 0 for all inputs i",
            "A dead unit gets no gradient and does not learn. Before training the share does not distinguish Glorot "
            "from He: with zero biases, scaling weights by a positive factor changes no sign of a ReLU's input, in any "
            "layer.",
            "Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733",
            unit="share",
            problem=DEAD,
            also=("dead_units",),
            heading="dead",
            scale="linear",
        ),
        LayerMetric(
            "saturated_share",
            "saturated",
            "share of saturated outputs",
            "share of outputs in the flat parts of tanh or sigmoid",
            "share of |tanh(z)| > 0.97 (|z| > 2.1); of sigmoid(z) outside 0.03 to 0.97 (|z| > 3.5)",
            "In these parts the slope of tanh is below 0.06 (maximum 1) and that of sigmoid below 0.03 (maximum 0.25), "
            "so little gradient passes. The weights are too large.",
            f"{_GLOROT}, section 3; the bounds are this program's",
            unit="share",
            problem=SATURATED,
            also=("saturated_units", "flat"),
            heading="flat",
            scale="linear",
        ),
        LayerMetric(
            "kernel_grad_norm",
            "‖∂L/∂W‖",
            "norm of the kernel's gradient",
            "norm of the loss's gradient with respect to a layer's kernel",
            "‖∂L/∂W‖, the Frobenius norm; ∂L/∂W = xᵀ ∂L/∂z",
            "It determines the size of the update of a layer's weights. It depends on the signal from below and on the "
            "gradient from above, so compare it with preactivation_grad_rms.",
            _GLOROT,
            unit="nats",
            also=("gradient_norm", "grad_norm"),
            heading="‖∂W‖",
        ),
        LayerMetric(
            "kernel_grad_std",
            "std(∂L/∂W)",
            "standard deviation of the kernel's gradient",
            "standard deviation of the entries of the loss's gradient with respect to a layer's kernel",
            "std(∂L/∂W) over the (fan_in, fan_out) array",
            "The size of one weight's gradient, independent of the size of the layer. Similar values in all layers are "
            "good.",
            f"{_GLOROT}, figure 8",
            unit="nats",
            also=("gradient_std", "grad_std"),
            heading="∂W σ",
        ),
        LayerMetric(
            "preactivation_grad_rms",
            "rms(∂L/∂z)",
            "back-propagated gradient, root mean square",
            "root mean square of the loss's gradient with respect to a layer's pre-activations",
            "rms(δ), δ = ∂L/∂z; E[δ_l²] = E[φ'²] · fan_out · Var(W) · E[δ_(l+1)²] with W the kernel above",
            "Constant from the logits to the first layer is good. If it falls, the first layers hardly learn; if it "
            "rises, their steps are too large.",
            f"{_GLOROT}, eq. 6; {_SCHOENHOLZ}",
            unit="nats",
            problem=GRADIENT,
            also=("backprop_std", "back", "gradient", "z_grad_rms"),
            heading="∂z rms",
        ),
        LayerMetric(
            "update_ratio",
            "‖ΔW‖/‖W‖",
            "size of the last update, ‖ΔW‖/‖W‖",
            "how far one step moves a kernel, relative to its size",
            "‖ΔW‖ / ‖W‖ for one training step, Frobenius norms",
            "About 1e-3 as a rule of thumb: with much less the layer hardly learns, with much more the step overwrites "
            "the initialization. It depends on the optimizer and the learning rate; undefined for W = 0.",
            _KARPATHY,
            also=("update",),
            heading="ΔW/W",
        ),
        LayerMetric(
            "max_cosine",
            "max |cos|",
            "largest |cosine| of two units' weights",
            "whether the units of a layer are the same: largest |cosine| between two units' weights",
            "max |w_i·w_j| / (‖w_i‖ ‖w_j‖) over columns i ≠ j of W, of the first 256 units; columns of 0 are "
            "replaced by those of ∂L/∂W",
            "1 means that at least two units are parallel. Independent centred weights have a cosine of about "
            "0 ± 1/√fan_in, orthogonal columns have 0.",
            _SYMMETRY,
            unit="cosine",
            also=("cos", "cosine", "weight_cosine"),
            heading="cos",
            scale="linear",
        ),
        LayerMetric(
            "duplicate_units",
            "duplicates",
            "share of duplicate units",
            "share of units with the weights of another unit, up to scale, or with no weights at all",
            "share of columns w_i of W with |cos(w_i, w_j)| > 0.9999 for some j ≠ i, of the first 256 units",
            "Duplicates compute one feature and get one gradient. Above one half the symmetry is not broken, and the "
            "layer works like one with few units.",
            _SYMMETRY,
            unit="share",
            problem=DUPLICATES,
            also=("twins", "symmetry"),
            heading="dup",
            scale="linear",
        ),
        LayerMetric(
            "input_correlation",
            "c",
            "correlation of two inputs",
            "correlation of two inputs through depth: whether a deep layer still distinguishes them",
            "c_l = z_a·z_b / (‖z_a‖ ‖z_b‖), the two inputs' pre-activations at layer l; the mean over pairs",
            "If it is near 1 in the last layers, all inputs look the same to the logits. In the ordered phase it "
            "approaches 1 like exp(-l/ξ) with the depth scale ξ = -1/ln χ1, which is infinite at the edge of chaos.",
            _SCHOENHOLZ,
            unit="correlation",
            also=("correlation", "corr", "depth_scale"),
            heading="corr",
            scale="linear",
        ),
    )
}

_network_metrics = {
    metric.name: metric
    for metric in (
        NetworkMetric(
            "input_rms",
            "rms(x)",
            "input, root mean square",
            "root mean square of the network's scaled inputs",
            "√(mean(x²)) over the probe batch",
            "The signal of each layer is compared with it.",
            "this program's",
        ),
        NetworkMetric(
            "loss",
            "L",
            "loss",
            "cross entropy on the probe batch",
            "ln(classes) if all logits are equal, 2.303 for ten; at most ln(classes) + s²/2 on average if logits are "
            "N(0, s²) whatever the label",
            "Before training, near ln(classes) is good. If it is far above, the logits are too large, and the first "
            "steps only undo that. Exactly ln(classes) may mean that the signal vanished. The probe batch is the same "
            "256 training images in every measurement.",
            f"{_KARPATHY}, sanity checks; the bound by Jensen's inequality",
            unit="nats",
            problem=LOSS,
            also=("initial_loss", "loss_at_step_0", "probe"),
        ),
        NetworkMetric(
            "chance_loss",
            "ln(classes)",
            "loss of guessing",
            "loss of guessing: every class equally likely",
            "ln(classes)",
            "Compare the loss with it: a network whose logits are near 0 has this loss.",
            _KARPATHY,
            unit="nats",
        ),
        NetworkMetric(
            "gradient_ratio",
            "‖∂L/∂W_1‖/‖∂L/∂W_last‖",
            "norm of the kernel's gradient, first/last",
            "gradient of the first layer's kernel relative to that of the last one's",
            "‖∂L/∂W of the first layer‖ / ‖∂L/∂W of the last layer‖, Frobenius norms",
            "Far below 1 the first layer learns more slowly than the last, far above faster. A kernel's gradient also "
            "contains the signal from below and grows with the kernel's size, so the ratio may be near 1 although the "
            "signal vanishes; the diagnosis uses preactivation_grad_rms instead.",
            _GLOROT,
        ),
        NetworkMetric(
            "jacobian_mean_square",
            "mean(s²)",
            "Jacobian's singular values: mean square",
            "how much the network stretches or shrinks its input on average",
            "mean square of the singular values s of J = ∂z_last/∂x; χ1 to the power of the depth in wide layers of "
            "one width, where q = q*",
            "Near 1 is good. Near 0 differences between inputs vanish; far above 1 they explode.",
            _JACOBIAN,
        ),
        NetworkMetric(
            "jacobian_condition",
            "s_max/s_min",
            "largest/smallest",
            "how differently the network stretches the directions of its input",
            "largest over smallest singular value of J = ∂z_last/∂x, a product of D_l W_l with D_l = diag(φ'(z_l)); "
            "the median over 8 inputs",
            "1, with all singular values near 1, is dynamical isometry: no direction vanishes or explodes. Square "
            "orthogonal kernels have it in linear networks, and come near it in tanh networks; Gaussian weights do "
            "not, nor do ReLU networks.",
            _JACOBIAN,
            also=("dynamical_isometry", "isometry", "jacobian_singular_values"),
        ),
    )
}

LAYER_METRICS: Mapping[str, LayerMetric] = MappingProxyType(_layer_metrics)
NETWORK_METRICS: Mapping[str, NetworkMetric] = MappingProxyType(_network_metrics)
