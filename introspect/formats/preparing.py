"""What every graph goes through before it is handed over: sizes, batch, a trial, own tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from introspect.errors import BadInput
from introspect.formats.batch import free_batch
from introspect.formats.graph import Graph, check_graph, choose_output
from introspect.formats.network import GraphNetwork
from introspect.formats.sizes import check_sizes, shapes

TRIED = 3
_MADE = "Made for a fixed number of inputs at a time; any number is taken now."


def prepare(
    graph: Graph, tensors: Mapping[str, torch.Tensor], file: str
) -> tuple[Graph, dict[str, torch.Tensor]]:
    """A graph as the engine may have it: for any number of inputs, tried, weights finite.

    Raises:
        BadInput: weights are NaN, values too large, or the network is bound to a batch.
    """
    # Inputs are float32, and so are the weights of every network that is studied.
    tensors = {
        name: tensors[name].float() if tensors[name].is_floating_point() else tensors[name]
        for name in graph.weights.values()
    }
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and torch.isnan(tensor).any():
            raise BadInput(
                f'{file}: the weights "{name}" contain NaN; the training went wrong or the file '
                "is damaged."
            )
    if graph.batch is not None or not check_sizes(graph, tensors):
        graph = _freed(graph, tensors)
    graph = _chosen(graph, tensors)
    check_graph(graph, tensors)
    return graph, {name: tensors[name] for name in graph.weights.values()}


def _freed(graph: Graph, tensors: Mapping[str, torch.Tensor]) -> Graph:
    """The graph for any number of inputs, proved on random ones."""
    fits = check_sizes(graph, tensors)
    if fits and (graph.batch is None or _agrees(graph, graph, tensors)):
        return dataclasses.replace(graph, batch=None)
    freed = free_batch(graph, tensors, graph.batch or 1)
    if not check_sizes(freed, tensors) or not _agrees(graph, freed, tensors):
        raise BadInput(
            f"The network was exported for exactly {graph.batch or 1} inputs at a time and gives "
            "other answers for more; export it with a dynamic batch: "
            '"introspect export my_module:build model.pt2" does.'
        )
    return dataclasses.replace(freed, notes=(*freed.notes, _MADE))


def _agrees(fixed: Graph, free: Graph, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether some inputs together give what they give in the batch the export was made for."""
    batch = fixed.batch or 1
    seeded = torch.Generator().manual_seed(0)
    x = torch.rand(TRIED, *fixed.input_shape, generator=seeded)
    with torch.no_grad():
        together = GraphNetwork(free, tensors).float()(x)
        one = GraphNetwork(fixed, tensors).float()
        alone = torch.stack([one(row.expand(batch, *row.shape).contiguous())[0] for row in x])
    scale = 1 + alone.abs().max()
    return bool((together - alone).abs().max() <= 1e-4 * scale)


def _chosen(graph: Graph, tensors: Mapping[str, torch.Tensor]) -> Graph:
    """With several outputs, the first that is a row of scores; the others can be asked for."""
    chosen = graph.output
    if len(graph.outputs) > 1:
        made = shapes(graph, tensors, 2)
        rows = [name for name in graph.outputs if name in made and made[name].dim() == 2]
        chosen = rows[0] if rows else chosen
    return choose_output(graph, chosen)
