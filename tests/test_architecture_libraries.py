"""Architectures of other libraries, by name; skipped where those are not installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from introspect import architecture
from introspect.classifier import read_classifier, save_classifier
from introspect.errors import BadInput
from introspect.ingest import make


def library(name: str) -> Callable[[], object]:
    """The way this package imports another, or a skip."""
    module = pytest.importorskip(f"introspect.architectures.{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return module._library()
        except BadInput as told:
            assert f"introspect[{name}]" in str(told)
            pytest.skip(str(told))


@pytest.mark.filterwarnings("ignore")
def test_network_of_timm_is_made_from_its_name_and_weights(tmp_path) -> None:
    timm = library("timm")
    theirs = timm.create_model("resnet10t", num_classes=7).eval()  # type: ignore[attr-defined]
    state = theirs.state_dict()
    found = architecture.choose("timm:resnet10t", {k: tuple(v.shape) for k, v in state.items()})
    assert found.fits and found.settings["classes"] == 7
    made = make(found, state)
    x = torch.rand(2, *made.input_shape)
    with torch.no_grad():
        assert torch.allclose(made(x), theirs(x), atol=1e-4)
    assert save_classifier(made, tmp_path)
    assert read_classifier(tmp_path).fingerprint == made.fingerprint


@pytest.mark.filterwarnings("ignore")
def test_names_that_reach_out_are_refused() -> None:
    library("timm")
    for name in ("timm:hf-hub:a/b", "timm:local-dir:.", "timm:nothing"):
        with pytest.raises(BadInput, match="timm has no architecture"):
            architecture.choose(name, {"a.weight": (2, 2)})


@pytest.mark.filterwarnings("ignore")
def test_network_of_transformers_is_made_from_its_kind_and_weights(tmp_path) -> None:
    transformers = library("hf")
    sizes = {
        "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 48,
    }  # fmt: skip
    config = transformers.ViTConfig(**sizes, num_labels=5)  # type: ignore[attr-defined]
    theirs = transformers.ViTForImageClassification(config).eval()  # type: ignore[attr-defined]
    state = theirs.state_dict()
    name = "hf:vit," + ",".join(f"{key}={value}" for key, value in sizes.items())
    found = architecture.choose(name, {k: tuple(v.shape) for k, v in state.items()})
    assert found.fits, found.misfit
    made = make(found, state)
    x = torch.rand(2, *made.input_shape)
    with torch.no_grad():
        assert torch.allclose(made(x), theirs(x).logits, atol=1e-4)
    assert save_classifier(made, tmp_path)
    assert read_classifier(tmp_path).fingerprint == made.fingerprint
    for wrong in ("hf:vit,image_size=x", "hf:nothing", "hf:vit,_name_or_path=3"):
        with pytest.raises(BadInput):
            architecture.choose(wrong, {"a.weight": (2, 2)})


def test_what_is_missing_is_said_with_the_command() -> None:
    for name, package in (("timm:resnet18", "timm"), ("hf:vit", "hf")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = architecture.choose(name, {"fc.weight": (2, 2)})
        except BadInput as told:
            assert f"introspect[{package}]" in str(told)
        else:
            assert not found.fits
