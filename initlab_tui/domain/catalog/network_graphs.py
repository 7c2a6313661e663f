"""The graphs of the networks in the catalogue, from their parameters, the shape of an image and the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.layers.graph_builder import GraphBuilder

RESNET_STAGES = 3


@dataclass(frozen=True)
class Plan:
    """What a network is built from: parameters by name, hidden widths, activation, shape of an image, and classes."""

    parameters: Mapping[str, Any]
    hidden: Sequence[int]
    activation: str
    shape: Sequence[int]
    classes: int


def mlp(plan: Plan) -> LayerGraph:
    """Build dense layers of the hidden widths."""
    graph = GraphBuilder(plan.shape)
    norm, before = plan.parameters["norm"], plan.parameters["norm_position"] == "before"
    end = graph.flatten(graph.input)
    for units in plan.hidden:
        end = graph.dense(end, units)
        end = graph.norm(end, norm if before else "none")
        end = graph.activation(end, plan.activation)
        end = graph.norm(end, "none" if before else norm)
    graph.dense(end, plan.classes, name="logits")
    return graph.graph()


def residual_mlp(plan: Plan) -> LayerGraph:
    """Build blocks x + branch(x), in which a branch is dense layers with activations between them."""
    graph, given = GraphBuilder(plan.shape), plan.parameters
    end = graph.dense(graph.flatten(graph.input), given["width"])
    for _ in range(given["blocks"]):
        graph.start_branch()
        branch = graph.norm(end, given["norm"])
        for layer in range(1, given["branch_depth"] + 1):
            branch = graph.dense(_scalar_bias(graph, branch, given), given["width"], bias=_bias(given))
            # A branch of one layer would be linear without its activation; longer ones end with a dense layer.
            if layer < given["branch_depth"] or layer == 1:
                branch = graph.activation(_scalar_bias(graph, branch, given), plan.activation)
        end = graph.add(end, _branch_end(graph, branch, given))
    end = graph.activation(graph.norm(end, given["norm"]), plan.activation)
    graph.dense(end, plan.classes, name="logits")
    return graph.graph()


def convnet(plan: Plan) -> LayerGraph:
    """Build convolutions, poolings and dense layers one after another."""
    graph, given = GraphBuilder(plan.shape), plan.parameters
    end, flat = graph.image(graph.input), False
    for item in given["layers"].split(","):
        if item == "pool":
            end = graph.max_pool(end)
            continue
        if item.startswith("dense"):
            end = end if flat else _flat(graph, end, given["head"])
            flat = True
            end = graph.dense(end, int(item.removeprefix("dense")))
        else:
            end = graph.conv(end, int(item), given["kernel"])
        end = graph.activation(graph.norm(end, given["norm"]), plan.activation)
    end = end if flat else _flat(graph, end, given["head"])
    graph.dense(end, plan.classes, name="logits")
    return graph.graph()


def resnet(plan: Plan) -> LayerGraph:
    """Build the residual network for small images of He et al. 2016: three stages of (depth - 2) / 6 blocks."""
    graph, given = GraphBuilder(plan.shape), plan.parameters
    blocks, preactivated = (given["depth"] - 2) // 6, given["order"] == "pre"
    end = graph.conv(graph.image(graph.input), given["width"], 3, bias=_bias(given))
    if not preactivated:
        end = _normalized(graph, end, plan)
    for stage in range(RESNET_STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            end = _resnet_block(graph, end, given["width"] * 2**stage, stride, plan)
    if preactivated:
        end = _normalized(graph, end, plan)
    end = _scalar_bias(graph, graph.average(end), given)
    graph.dense(end, plan.classes, name="logits")
    return graph.graph()


def vit(plan: Plan) -> LayerGraph:
    """Build a transformer on patches, with the norm before each branch and the mean of all tokens at the end."""
    graph, given = GraphBuilder(plan.shape), plan.parameters
    end = graph.image(graph.input)
    end = graph.conv(end, given["width"], given["patch"], stride=given["patch"], padding="valid")
    end = graph.position_embedding(graph.tokens(end))
    for _ in range(given["depth"]):
        graph.start_branch()
        source = graph.norm(end, given["norm"])
        projected = [graph.dense(source, given["width"]) for _ in ("queries", "keys", "values")]
        branch = graph.dense(graph.attention(projected, given["heads"]), given["width"])
        end = graph.add(end, _branch_end(graph, branch, given))
        graph.start_branch()
        branch = graph.dense(graph.norm(end, given["norm"]), 4 * given["width"])
        branch = graph.dense(graph.activation(branch, plan.activation), given["width"])
        end = graph.add(end, _branch_end(graph, branch, given))
    graph.dense(graph.average(graph.norm(end, given["norm"])), plan.classes, name="logits")
    return graph.graph()


def _resnet_block(graph: GraphBuilder, end: str, filters: int, stride: int, plan: Plan) -> str:
    given = plan.parameters
    skip = graph.shortcut(end, filters, stride)
    graph.start_branch()
    if given["order"] == "pre":
        branch = _convolved(graph, _normalized(graph, end, plan), filters, stride, given)
        branch = _convolved(graph, _normalized(graph, branch, plan), filters, 1, given)
    else:
        branch = _normalized(graph, _convolved(graph, end, filters, stride, given), plan)
        branch = graph.norm(_convolved(graph, branch, filters, 1, given), given["norm"])
    end = graph.add(skip, _branch_end(graph, branch, given))
    return end if given["order"] == "pre" else graph.activation(end, plan.activation)


def _convolved(graph: GraphBuilder, source: str, filters: int, stride: int, given: Mapping[str, Any]) -> str:
    source = _scalar_bias(graph, source, given)
    return graph.conv(source, filters, 3, stride=stride, bias=_bias(given))


def _normalized(graph: GraphBuilder, source: str, plan: Plan) -> str:
    source = _scalar_bias(graph, graph.norm(source, plan.parameters["norm"]), plan.parameters)
    return graph.activation(source, plan.activation)


def _branch_end(graph: GraphBuilder, branch: str, given: Mapping[str, Any]) -> str:
    return _scalar_bias(graph, graph.multiplier(branch, given["branch_scale"]), given)


def _scalar_bias(graph: GraphBuilder, source: str, given: Mapping[str, Any]) -> str:
    return graph.scalar_bias(source) if given.get("scalar_biases") == "yes" else source


def _bias(given: Mapping[str, Any]) -> bool:
    """Return whether layers have a bias for each unit: a norm has its own shift, and Fixup uses scalars instead."""
    return bool(given["norm"] == "none" and given["scalar_biases"] == "no")


def _flat(graph: GraphBuilder, end: str, head: str) -> str:
    return graph.average(end) if head == "average" else graph.flatten(end)
