"""Networks as text, and the graphs of their layers."""

from __future__ import annotations

import math

import pytest

from initlab_tui.domain.catalog.networks import NETWORKS
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.layers.graph import Kind, LayerGraph, Role
from initlab_tui.domain.network import Network
from initlab_tui.domain.spec import RunSpec

CIFAR, MNIST = (32, 32, 3), (28, 28)


def graph(text: str, shape: tuple[int, ...] = CIFAR) -> LayerGraph:
    return RunSpec.checked(network=text).graph(shape, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_reads_back_from_its_text(name: str) -> None:
    assert Network.parse(str(Network.parse(name))) == Network.parse(name)


@pytest.mark.parametrize(
    ("written", "shortest"),
    [
        ("convnet:8,pool,dense16", "convnet:8,pool,dense16"),
        ("convnet:norm=batch,layers=8,pool", "convnet:8,pool,norm=batch"),
        ("resnet", "resnet:depth=20,norm=batch"),
        ("resnet:norm=none,depth=8,branch_scale=0", "resnet:depth=8,norm=none,branch_scale=0"),
        ("mlp:norm=layer", "mlp:norm=layer"),
    ],
)
def test_the_text_is_the_shortest_that_says_the_same(written: str, shortest: str) -> None:
    assert str(Network.parse(written)) == shortest


def test_widths_and_activation_in_the_text_are_fields_of_the_spec() -> None:
    spec = RunSpec.checked(network="mlp:64x3,32,activation=tanh,norm=batch")
    assert (spec.hidden, spec.activation, str(spec.network)) == ((64, 64, 64, 32), "tanh", "mlp:norm=batch")
    assert RunSpec.checked(network="mlp:256,256").spec_hash == RunSpec().spec_hash


def test_hidden_widths_do_not_distinguish_networks_that_have_none() -> None:
    assert RunSpec.checked(network="resnet", hidden="8").spec_hash == RunSpec.checked(network="resnet").spec_hash
    comparison = Comparison.checked(
        initializers=["he_normal"], seeds=[0], networks=["mlp", "resnet:depth=8"], hidden=["8", "8,8"]
    )
    assert [run.network_text for run in comparison.runs()] == ["8 relu", "8,8 relu", "resnet:depth=8,norm=batch relu"]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        # He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million weights.
        ("resnet:depth=20", 269_722),
        ("resnet:depth=32", 464_154),
        ("resnet:depth=44", 658_586),
        ("resnet:depth=56", 853_018),
        ("resnet:depth=110", 1_727_962),
    ],
)
def test_residual_networks_have_the_published_number_of_weights(text: str, weights: int) -> None:
    assert graph(text).weights == weights


def test_the_layers_of_a_convnet_have_their_fans_shapes_and_activations() -> None:
    layers = graph("convnet:8,16,pool,dense32", MNIST).layers
    assert [(node.fan_in, node.fan_out) for node in layers] == [(9, 72), (72, 144), (14 * 14 * 16, 32), (32, 10)]
    assert [node.shape for node in layers] == [(28, 28, 8), (28, 28, 16), (32,), (10,)]
    assert [node.activation for node in layers] == ["relu", "relu", "relu", "linear"]
    assert [node.role for node in layers] == [Role.INPUT, Role.HIDDEN, Role.HIDDEN, Role.OUTPUT]


@pytest.mark.parametrize(
    ("text", "branches", "ends"),
    [
        ("resnet:depth=8,order=post", 3, ["conv_3", "conv_5", "conv_7"]),
        ("resnet:depth=8,order=pre,norm=none,branch_scale=0,scalar_biases=yes", 3, ["conv_3", "conv_5", "conv_7"]),
        ("residual_mlp:blocks=2,branch_depth=3", 2, ["dense_4", "dense_7"]),
        ("residual_mlp:blocks=2,branch_depth=1", 2, ["dense_2", "dense_3"]),
        ("vit:depth=1", 2, ["dense_4", "dense_6"]),
    ],
)
def test_the_last_layer_of_each_residual_branch_is_known(text: str, branches: int, ends: list[str]) -> None:
    found = graph(text)
    assert found.branches == branches
    assert [node.name for node in found.layers if node.role is Role.BRANCH_END] == ends


def test_the_first_layers_of_a_branch_are_known() -> None:
    starts = [node.name for node in graph("vit:depth=1").layers if node.role is Role.BRANCH_START]
    assert starts == ["dense_1", "dense_2", "dense_3", "dense_5"]  # queries, keys and values all read the stream


def test_every_node_reads_only_nodes_before_it() -> None:
    for name in NETWORKS:
        seen: set[str] = set()
        for node in graph(name).nodes:
            assert seen.issuperset(node.inputs)
            assert math.prod(node.shape) > 0
            seen.add(node.name)
        assert graph(name).nodes[-1].kind is Kind.DENSE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsnet", "unknown network 'rsnet': did you mean resnet?"),
        ("resnet:depth=21", r"depth must be 6n \+ 2, as 8, 14, 20, got 21"),
        ("resnet:deep=20", "unknown parameter of resnet 'deep'"),
        ("resnet:20", "'20' must be param=value"),
        ("resnet:norm=weight", "norm must be one of none, batch, layer, group, got weight"),
        ("convnet:32,poo", "layers must be numbers of filters, pool and denseN"),
        ("convnet:0", "layers must be numbers of filters, pool and denseN"),
        ("convnet:dense8,32", "dense layers last"),
        ("convnet:" + ",".join(["1"] * 201), "layers must be at most 200, got 201"),
        ("vit:width=63", "width must be a multiple of heads, got width=63, heads=4"),
        ("vit:hidden=3", "unknown parameter of vit 'hidden'"),
    ],
)
def test_an_error_names_the_value_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        RunSpec.checked(network=text)
    assert [problem.field for problem in caught.value.problems] == ["network"]


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("convnet:pool,pool,pool", (4, 4), "does not fit images of 4x4: a pooling of 2x2 does not fit into 1x1"),
        ("vit:patch=64", (28, 28), "a 64x64 kernel does not fit into an image of 28x28"),
        ("resnet", (784,), "it needs images of height x width"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_an_error(text: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        graph(text, shape)
