"""The engine of graphs: any device and copy, nothing kept, nothing overwritten that is needed."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref

import pytest
import torch
from architectures import made
from pt2_files import Archive
from torch import nn

from introspect.classifier import Classifier
from introspect.errors import BadInput
from introspect.formats.batch import free_batch
from introspect.formats.graph import Batch, Graph, Node, Ref, choose_output
from introspect.formats.network import GraphNetwork, bind_calls
from introspect.formats.pt2 import read_pt2
from introspect.tap import Tap


def line(*nodes: Node, weights: dict[str, torch.Tensor] | None = None, shape=(4,)):
    """A network of these operations from x to the last result."""
    held = weights or {}
    graph = Graph(
        input="x",
        input_shape=shape,
        weights={name: name for name in held},
        nodes=nodes,
        output=str(nodes[-1].results[0]),
    )
    return GraphNetwork(graph, held)


LINEAR = Node("aten.linear.default", (Ref("x"), Ref("w")), ("a",), word="linear", path="fc")
RELU = Node("aten.relu.default", (Ref("a"),), ("b",), word="relu", path="act")
W = torch.tensor([[1.0, -1, 0, 0], [0, 1, -1, 0], [-1, 0, 0, 1]])


def test_without_gradients_an_activation_is_written_over_what_nobody_needs() -> None:
    net = line(LINEAR, RELU, weights={"w": W})
    x = torch.randn(5, 4)
    heard: list[tuple[str, torch.Tensor]] = []
    with torch.no_grad():
        net.tell(x, lambda word, result: heard.append((word, result)))
        assert [word for word, _ in heard] == ["linear", "relu"]
        assert heard[0][1].data_ptr() == heard[1][1].data_ptr()
        heard.clear()
        net.tell(x, lambda word, result: heard.append((word, result)), careful=True)
        torch.testing.assert_close(heard[0][1], x @ W.T)
        torch.testing.assert_close(net(x), (x @ W.T).clamp(min=0))


def test_with_gradients_only_what_no_gradient_needs_is_overwritten() -> None:
    elu = dataclasses.replace(RELU, op="aten.elu.default", word="elu")
    squared = (LINEAR, Node("aten.mul.Tensor", (Ref("a"), Ref("a")), ("m",)),
               Node("aten.sigmoid.default", (Ref("m"),), ("s",)),
               Node("aten.relu.default", (Ref("s"),), ("b",)))  # fmt: skip
    x = torch.randn(6, 4, dtype=torch.float64)
    for nodes in ((LINEAR, RELU), (LINEAR, elu), squared):
        net = line(*nodes, weights={"w": W.double()})
        assert torch.autograd.gradcheck(net, x.clone().requires_grad_())


def test_what_is_looked_at_again_is_not_overwritten() -> None:
    again = Node("aten.add.Tensor", (Ref("b"), Ref("a")), ("c",))
    view = Node("aten.view.default", (Ref("a"), [-1, 3]), ("v",))
    behind = Node("aten.add.Tensor", (Ref("b"), Ref("v")), ("c",))
    x = torch.randn(5, 4)
    wanted = (x @ W.T).clamp(min=0) + x @ W.T
    for nodes in ((LINEAR, RELU, again), (LINEAR, view, RELU, behind)):
        with torch.no_grad():
            torch.testing.assert_close(line(*nodes, weights={"w": W})(x), wanted)


def test_weights_and_inputs_are_never_written_to() -> None:
    over = Node("aten.relu.default", (Ref("w"),), ("r",))
    use = Node("aten.linear.default", (Ref("y"), Ref("r")), ("c",))
    first = Node("aten.relu.default", (Ref("x"),), ("y",))
    net = line(first, over, use, weights={"w": W.clone()})
    x = torch.randn(5, 4)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(net(x), net(x))
    assert torch.equal(x, before) and torch.equal(net.tensors()["w"], W)


def test_a_value_is_let_go_after_its_last_use() -> None:
    steps = bind_calls(line(LINEAR, RELU, weights={"w": W}).graph)
    assert len(steps[0].dead) == 0 and len(steps[1].dead) == 1
    net = line(LINEAR, RELU, Node("aten.exp.default", (Ref("b"),), ("c",)), weights={"w": W})
    kept: list[weakref.ref] = []
    alive: list[int] = []

    def hear(word: str, result: torch.Tensor) -> None:
        kept.append(weakref.ref(result))
        gc.collect()
        alive.append(sum(ref() is not None for ref in kept[:-1]))

    with torch.no_grad():
        net.tell(torch.randn(2, 4), hear, careful=True)
    assert alive == [0, 1] and all(ref() is None for ref in kept)


def test_a_copy_is_a_network_of_its_own_with_the_same_fingerprint(tmp_path) -> None:
    net = GraphNetwork(*read_pt2(Archive().write(tmp_path / "a.pt2")))
    net(torch.ones(1, 4))
    other = copy.deepcopy(net)
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert next(net.parameters()).abs().sum() > 0
    one, two = (Classifier.of(net, input_shape=(4,)) for _ in range(2))
    assert one.fingerprint == two.fingerprint
    graph = dataclasses.replace(net.graph, nodes=(*net.graph.nodes[:-1], dataclasses.replace(
        net.graph.nodes[-1], op="aten.elu.default", word="elu")))  # fmt: skip
    changed = GraphNetwork(graph, net.tensors())
    assert Classifier.of(changed, input_shape=(4,)).fingerprint != one.fingerprint


def test_doubles_become_floats_where_a_classifier_wants_them() -> None:
    net = line(LINEAR, RELU, weights={"w": W.double()})
    classifier = Classifier.of(net, input_shape=(4,))
    assert classifier(torch.rand(2, 4)).dtype == torch.float32


def test_layers_that_no_module_owns_are_named_and_numbered() -> None:
    nodes = (
        LINEAR,
        dataclasses.replace(RELU, path="act"),
        Node("aten.linear.default", (Ref("b"), Ref("v")), ("c",), word="linear", path="fc"),
        Node("aten.relu.default", (Ref("c"),), ("d",), word="relu", path="act"),
        Node("aten.linear.default", (Ref("d"), Ref("v")), ("e",), word="linear", path="end"),
    )
    net = line(*nodes, weights={"w": W, "v": torch.eye(3)})
    classifier = Classifier.of(net, input_shape=(4,))
    assert [(layer.name, layer.hidden) for layer in classifier.layers] == [
        ("fc#0", False), ("act#0", True), ("fc#1", False), ("act#1", True), ("end", False),
    ]  # fmt: skip
    with torch.no_grad():
        h, logits = Tap(classifier)(torch.rand(2, 4))
    assert h.shape == (2, 6) and logits.shape == (2, 3)


def test_any_value_can_be_the_output_and_what_does_not_lead_there_falls_away() -> None:
    net = line(LINEAR, RELU, weights={"w": W})
    cut = choose_output(net.graph, "a")
    x = torch.randn(2, 4)
    torch.testing.assert_close(GraphNetwork(cut, {"w": W})(x), x @ W.T)
    assert len(cut.nodes) == 1
    with pytest.raises(BadInput, match="no output"):
        choose_output(net.graph, "nothing")


def test_a_batch_in_the_middle_of_an_axis_is_found_by_trying() -> None:
    # As torch's own attention does it: (1, 3, 8) to (3, 1, 8) to (3, 8), a linear layer, and back.
    w = torch.randn(8, 8)
    nodes = (
        Node("aten.transpose.int", (Ref("x"), 0, 1), ("t",)),
        Node("aten.reshape.default", (Ref("t"), [3, 8]), ("flat",)),
        Node("aten.linear.default", (Ref("flat"), Ref("w")), ("a",)),
        Node("aten.view.default", (Ref("a"), [3, 1, 8]), ("back",)),
        Node("aten.transpose.int", (Ref("back"), 0, 1), ("u",)),
        Node("aten.mean.dim", (Ref("u"), [1]), ("y",)),
    )
    fixed = line(*nodes, weights={"w": w}, shape=(3, 8))
    free = GraphNetwork(free_batch(fixed.graph, {"w": w}, 1), {"w": w})
    x = torch.randn(5, 3, 8)
    torch.testing.assert_close(free(x), torch.cat([fixed(row[None]) for row in x]))
    assert Batch(3, 1) in free.graph.nodes[1].args[1]


def test_threads_share_one_network() -> None:
    import threading

    module, shape = made("mlp")
    weights = {name.replace(".", "_"): value for name, value in module.state_dict().items()}
    nodes = [Node("aten.flatten.using_ints", (Ref("x"), 1), ("x0",))]
    places = [i for i, layer in enumerate(module) if isinstance(layer, nn.Linear)]
    for k, i in enumerate(places):
        args = (Ref(f"e{k - 1}" if k else "x0"), Ref(f"{i}_weight"), Ref(f"{i}_bias"))
        nodes.append(Node("aten.linear.default", args, (f"l{k}",), word="linear", path=str(i)))
        nodes.append(Node("aten.elu.default", (Ref(f"l{k}"),), (f"e{k}",), word="elu"))
    net = line(*nodes[:-1], weights=weights, shape=shape)
    inputs = [torch.rand(16, *shape) for _ in range(4)]
    found: dict[int, torch.Tensor] = {}

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(20):
                found[k] = net(inputs[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, x in enumerate(inputs):
        torch.testing.assert_close(found[k], module(x))
