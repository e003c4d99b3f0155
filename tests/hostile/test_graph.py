"""A document of ours from a stranger, as in an atlas that was sent: checked like any file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pt2_files import Archive

from introspect.errors import BadInput
from introspect.formats.graph import document, parse_graph
from introspect.formats.pt2 import read_pt2


def test_a_document_of_ours_from_a_stranger_is_checked_like_a_file(tmp_path: Path) -> None:
    graph, tensors = read_pt2(Archive().write(tmp_path / "good.pt2"))
    good = document(graph)

    def spoiled(**changes) -> dict:
        told = json.loads(json.dumps(good))
        told["nodes"][1] |= changes
        return told

    for told, words in (
        (spoiled(op="aten.from_file.default"), "not known"),
        (spoiled(op="os.system"), "not known"),
        (spoiled(op="onnx.__class__"), "not known"),
        (spoiled(args=[{"ref": "relu"}]), "circle"),
        (spoiled(args=[{"code": "1"}]), "means nothing"),
        (spoiled(args=[2**70]), "too large"),
        (spoiled(args=["a\u0000b"]), "impossible setting"),
        (spoiled(results=["x"]), "twice"),
        (spoiled(results=["<script>"]), "impossible name"),
        (spoiled(path="<b>", word="relu"), "impossible name"),
        (spoiled(op="aten.zeros.default", args=[[4]]), "where the input is"),
        (good | {"introspect": "graph/9"}, "newer version"),
        (good | {"introspect": "layers/1"}, "no network"),
        (good | {"input_shape": [2**40]}, "impossible"),
        (good | {"output": "p_w"}, "Nothing makes"),
        (good | {"weights": {"p_w": "elsewhere"}}, "missing"),
        (good | {"nodes": 3}, "damaged"),
        ([], "no network"),
    ):
        with pytest.raises(BadInput, match=words):
            parse_graph(told, tensors)
