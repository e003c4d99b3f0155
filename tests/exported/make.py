"""Writes the .onnx files of this folder with torch's own exporters, old and new.

By hand, where onnx and onnxscript are installed: `python tests/exported/make.py`. What the
exporters note of the machine (paths of source files) is taken out again.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import onnx
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from architectures import ARCHITECTURES, made  # noqa: E402

FILES = {
    "mlp": ((14, "old", 1), (19, "new", 1)),
    "cnn": ((15, "old", 1), (18, "new", 1)),
    "resnet20": ((17, "old", 1),),
    "vgg": ((13, "old", 4), (20, "new", 4)),
    "vit": ((16, "old", 1), (20, "new", 4)),
    "lstm": ((13, "old", 4), (20, "new", 4), (18, "new", 1)),
}
"""Opset, exporter, and batch of the example: 1 is written as fixed, others as open."""


def write(name: str, opset: int, exporter: str, batch: int) -> Path:
    """One file, without anything about the machine in it."""
    module, shape = made(name)
    x = torch.rand(batch, *shape)
    path = HERE / f"{name}-{opset}-{exporter}-{'one' if batch == 1 else 'any'}.onnx"
    given: dict = {"opset_version": opset, "verbose": False, "dynamo": exporter == "new"}
    if exporter == "new":
        given["external_data"] = False
        if batch > 1:
            given["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif batch > 1:
        given |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    torch.onnx.export(module, (x,), str(path), **given)
    model = onnx.load(path)
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.ClearField("value_info")
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        kept = [p for p in part.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del part.metadata_props[:]
        part.metadata_props.extend(kept)
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    onnx.save(model, path)
    return path


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in ARCHITECTURES:
        for opset, exporter, batch in FILES[name]:
            write(name, opset, exporter, batch)
