"""The catalogue of networks: name, parameters, when to use it, source, and the function that builds its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlab_tui.domain.catalog import network_graphs
from initlab_tui.domain.catalog.entry import Parameter, Parameters
from initlab_tui.domain.catalog.network_graphs import Plan
from initlab_tui.domain.errors import quoted, shown
from initlab_tui.domain.layers.graph import LayerGraph

MAX_ITEMS = 200  # of a convnet


@dataclass(frozen=True)
class NetworkEntry:
    """One network of the catalogue.

    `graph` builds the graph of its layers; it raises ValueError if the network does not fit the data. `listed` is the
    parameter that is written without its name, as in `convnet:32,pool,dense64`. `dense` networks have only dense
    layers, which XLA compiles well on every device. `check` returns an error message for
    an invalid combination of parameters, or an empty string.
    """

    name: str
    summary: str
    graph: Callable[[Plan], LayerGraph]
    when: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    listed: str = ""
    dense: bool = False
    check: Callable[[Parameters], str] = lambda _: ""

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


def parse_layers(value: object) -> str:
    """Return the layers of a convnet as `32,32,pool,dense128`.

    Raises:
        ValueError: for anything but numbers of filters, `pool` and `denseN`, or a convolution after a dense layer.
    """
    items = [item.strip() for item in str(value).split(",")]
    dense = False
    for item in items:
        count = item.removeprefix("dense")
        is_count = count.isascii() and count.isdigit() and 1 <= len(count) <= 5 and int(count) >= 1
        if item != "pool" and not is_count:
            raise ValueError(
                f"layers must be numbers of filters, pool and denseN, as in 32,32,pool,dense128, got {quoted(item)} "
                f"in {shown(value)}"
            )
        if dense and not item.startswith("dense"):
            raise ValueError(f"layers must have their dense layers last, got {quoted(item)} after one")
        dense = dense or item.startswith("dense")
    if len(items) > MAX_ITEMS:
        raise ValueError(f"layers must be at most {MAX_ITEMS}, got {len(items)}")
    return ",".join(items)


_NORM = Parameter(
    "norm", "none", "normalization of each layer", choices=("none", "batch", "layer", "rms"), always_shown=True
)
_BRANCH_SCALE = Parameter(
    "branch_scale",
    "none",
    "first value of a learned factor on each branch; 0: ReZero, SkipInit",
    choices=("none", "0", "1"),
)
_SCALAR_BIASES = Parameter(
    "scalar_biases", "no", "a single learned bias before each layer, as in Fixup", choices=("no", "yes")
)

_ENTRIES = (
    NetworkEntry(
        "mlp",
        "dense layers; --hidden has their widths",
        network_graphs.mlp,
        "the network of theory: dense layers, whose signals can be predicted one by one",
        "Rumelhart, Hinton & Williams 1986",
        (
            Parameter("norm", "none", "normalization of each layer", choices=("none", "batch", "layer", "rms")),
            Parameter("norm_position", "before", "where the norm stands", choices=("before", "after")),
        ),
        dense=True,
    ),
    NetworkEntry(
        "residual_mlp",
        "dense residual blocks, x + branch(x)",
        network_graphs.residual_mlp,
        "what depth does to residual networks, at the speed of dense layers",
        "He et al. 2016, CVPR; dense as in Bachlechner et al. 2020 (ReZero)",
        (
            Parameter("width", 64, "units of each layer", minimum=1, maximum=100_000),
            Parameter("blocks", 10, "residual blocks", minimum=1, maximum=250, always_shown=True),
            Parameter("branch_depth", 2, "dense layers in each branch", minimum=1, maximum=10),
            _NORM,
            _BRANCH_SCALE,
            _SCALAR_BIASES,
        ),
        dense=True,
    ),
    NetworkEntry(
        "convnet",
        "convolutions, 2x2 poolings and dense layers in the order given",
        network_graphs.convnet,
        "a plain stack as in VGG: He's paper is about such networks",
        "Simonyan & Zisserman 2015, ICLR",
        (
            Parameter(
                "layers",
                "32,32,pool,64,64,pool,dense128",
                "filters of each convolution, pool, and denseN",
                read=parse_layers,
                always_shown=True,
            ),
            Parameter("kernel", 3, "height and width of a kernel", minimum=1, maximum=15),
            Parameter("norm", "none", "normalization of each layer", choices=("none", "batch", "layer", "group")),
            Parameter("head", "flatten", "what follows the convolutions", choices=("flatten", "average")),
        ),
        listed="layers",
    ),
    NetworkEntry(
        "resnet",
        "residual network for small images, 6n + 2 layers",
        network_graphs.resnet,
        "residual networks with and without normalization, on images as small as 4x4",
        "He et al. 2016, CVPR, section 4.2 (shortcuts without weights, option A)",
        (
            Parameter("depth", 20, "layers with weights, 6n + 2", minimum=8, maximum=1202, always_shown=True),
            Parameter("width", 16, "filters of the first stage; doubled in each later one", minimum=1, maximum=1024),
            Parameter(
                "norm",
                "batch",
                "normalization of each layer",
                choices=("none", "batch", "layer", "group"),
                always_shown=True,
            ),
            Parameter("order", "post", "activation after the sum or before the convolutions", choices=("post", "pre")),
            _BRANCH_SCALE,
            _SCALAR_BIASES,
        ),
        check=lambda p: "" if int(p["depth"]) % 6 == 2 else f"depth must be 6n + 2, as 8, 14, 20, got {p['depth']}",
    ),
    NetworkEntry(
        "vit",
        "transformer on square patches of the image",
        network_graphs.vit,
        "attention, with the norm before each branch",
        "Dosovitskiy et al. 2021, ICLR; the mean of all tokens instead of a class token",
        (
            Parameter("patch", 4, "height and width of a patch", minimum=1, maximum=1024),
            Parameter("width", 64, "numbers of each token", minimum=1, maximum=10_000, always_shown=True),
            Parameter("depth", 4, "blocks of attention and dense layers", minimum=1, maximum=100, always_shown=True),
            Parameter("heads", 4, "parts of a token that attend on their own", minimum=1, maximum=128),
            Parameter("norm", "layer", "normalization before each branch", choices=("none", "layer", "rms")),
            _BRANCH_SCALE,
        ),
        check=lambda p: (
            ""
            if int(p["width"]) % int(p["heads"]) == 0
            else f"width must be a multiple of heads, got width={p['width']}, heads={p['heads']}"
        ),
    ),
)

NETWORKS: Mapping[str, NetworkEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
