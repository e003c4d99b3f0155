"""What every network that came from a file must have in common with the one it was made from."""

from __future__ import annotations

import json
from dataclasses import replace

import torch
from torch import nn

from introspect.classifier import Classifier
from introspect.formats.graph import Graph, document, parse_graph
from introspect.formats.network import GraphNetwork
from introspect.tap import Tap


def network(graph: Graph, tensors: dict[str, torch.Tensor]) -> GraphNetwork:
    """The network, its graph written as JSON and read again on the way."""
    text = json.dumps(document(graph), allow_nan=False)
    return GraphNetwork(parse_graph(json.loads(text), tensors), tensors)


def compare(
    net: GraphNetwork, module: nn.Module, shape: tuple[int, ...], fused: bool = False
) -> None:
    """Outputs, input gradients, layer names and every activation equal the live module's.

    Args:
        fused: batch norms are worked into the convolutions before them, so that what those give
            is another thing; only what follows activations is compared.
    """
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(4))
    close = {"atol": 1e-5, "rtol": 1e-4}
    with torch.no_grad():
        torch.testing.assert_close(net(x), module(x), **close)
        torch.testing.assert_close(net(x[:1]), module(x[:1]), **close)
    slopes = []
    for one in (net, module):
        at = x.clone().requires_grad_()
        one(at).square().sum().backward()
        slopes.append(at.grad)
    assert slopes[1].abs().max() > 0
    torch.testing.assert_close(*slopes, **close)
    live = Classifier.of(module, input_shape=shape)
    read = Classifier.of(net, input_shape=shape)
    assert [replace(layer, call=0) for layer in read.layers] == [
        replace(layer, call=0) for layer in live.layers
    ]
    if any(layer.hidden for layer in live.layers):
        names = [layer.name for layer in live.layers]
        with torch.inference_mode():
            for layers in (None,) if fused else (None, names):
                mine, logits = Tap(read, layers)(x)
                theirs, wanted = Tap(live, layers)(x)
                torch.testing.assert_close(mine, theirs, **close)
                torch.testing.assert_close(logits, wanted, **close)
