"""Attacks on odd networks (2 or 100 classes, tables, no dense layers) and with odd settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import seeded
from torch import nn

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.attacks.pgd import Pgd
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.fanning import summarise
from introspect.flow import choose_rows, fan
from introspect.samples import Samples
from introspect.trajectory import trace
from introspect.ui import player_words
from introspect.ui.attack_flow_payload import pack_flow, to_csv
from introspect.ui.player_export import to_gif, to_html
from introspect.ui.player_payload import Units, pack_ground, pack_player


def odd(name: str, digits: Samples) -> tuple[nn.Module, dict[str, Any], Samples]:
    """A network that is none of the usual, and samples for it."""
    rng = np.random.default_rng(1)
    if name == "no dense layers":
        layers = (nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 10, 3))
        module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return module, {"input_shape": (1, 8, 8), "link": "softmax"}, digits[np.arange(200)]
    k, n = (2, 150) if name == "two classes" else (100, 1000)
    outputs = 1 if k == 2 else k
    module = nn.Sequential(nn.Linear(4, 30), nn.ELU(), nn.Linear(30, outputs))
    names = tuple(f"class <b>{code}</b> with a long name" for code in range(k))
    samples = Samples(
        x=rng.random((n, 4), np.float32),
        y=rng.integers(0, k, n),
        split=(np.arange(n) % 3).astype(np.uint8),
        classes=names,
        ids=np.arange(n),
        name=name,
    )
    return module, {"input_shape": (4,), "link": "sigmoid", "classes": names}, samples


@pytest.fixture(scope="module", params=["two classes", "a hundred classes", "no dense layers"])
def strange(request: pytest.FixtureRequest, digits: Samples) -> Atlas:
    made = seeded(lambda: odd(request.param, digits))
    module, about, samples = made
    classifier = Classifier.of(module, **about)
    return build_atlas(classifier, samples, name=request.param, epochs=1, umap=False)


def test_player_is_given_all_of_it(strange: Atlas) -> None:
    assert strange.samples is not None
    k = len(strange.classes)
    walk = trace(strange, strange.samples.floats([7])[0], Fgsm(steps=6, epsilon=0.05))
    units = Units.of(strange)
    assert units is not None and len(units.starts)
    played = pack_player(strange, pack_ground(strange), walk, "#7", units)
    told = json.loads(played.manifest)
    assert told["targets"] == list(range(k)) == sorted(told["targets"])
    assert len(told["palette"]["light"]) == len(told["palette"]["dark"]) == k
    assert len(player_words.table(walk, strange.classes)) == k
    assert f"of {k - 1} other class" in player_words.explain(strange, walk).replace(
        "classes", "class"
    )
    text = to_html(played, "How to read this.").decode()
    assert "<b>0</b>" not in text
    if not told["pictures"]:
        with pytest.raises(ValueError, match="Only pictures"):
            to_gif(walk, 0)


def test_flow_is_given_all_of_it(strange: Atlas) -> None:
    k = len(strange.classes)
    rows = choose_rows(strange, 12, split="all", right=False)
    flow = fan(strange, rows, Fgsm(steps=5, epsilon=0.1))
    told = json.loads(pack_flow(strange, pack_ground(strange), flow).manifest)
    assert told["walks"] == 12 * (k - 1) and len(told["classes"]) == k
    lines = to_csv(flow, strange.classes).decode().splitlines()
    assert len(lines) - 1 == len(set(flow.source.tolist())) * (k - 1)


SETTINGS = [
    ("an epsilon of 0", lambda: Fgsm(steps=4, epsilon=0.0)),
    ("an epsilon of 1", lambda: Fgsm(steps=4, epsilon=1.0)),
    ("a ball of 0", lambda: Pgd(steps=4, epsilon=0.0)),
    ("a ball of 1", lambda: Pgd(steps=4, epsilon=1.0)),
    ("a single step", lambda: Fgsm(steps=1)),
]


@pytest.mark.parametrize(("name", "make"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_odd_settings_stay_within_the_range_and_are_counted(
    name: str, make: Callable[[], Any], atlas: Atlas
) -> None:
    attack = make()
    flow = fan(atlas, choose_rows(atlas, 6), attack)
    told = json.loads(json.dumps(summarise(atlas, flow), allow_nan=False))
    assert flow.z.shape[2] == attack.steps + 1 and np.isfinite(flow.z).all()
    assert flow.linf.max() <= 1 and (flow.linf.max() == 0) == (attack.epsilon == 0)
    assert told["walks"] == 54 and 0 <= told["alarmed"] <= told["arrived"] <= 54
    if attack.epsilon == 0:
        assert told["arrived"] == 0 and told["gateways"] == []


def test_target_that_is_the_class_of_every_sample_leaves_no_walk(atlas: Atlas) -> None:
    flow = fan(atlas, choose_rows(atlas, 4, classes=[3]), Fgsm(steps=3), targets=[3])
    assert (flow.success_step == 0).all() and np.isnan(flow.success_rate).all()
    told = json.loads(pack_flow(atlas, pack_ground(atlas), flow).manifest)
    assert told["walks"] == told["arrived"] == 0 and told["gateways"] == []
    assert to_csv(flow, atlas.classes).decode().count("\n") == 1
