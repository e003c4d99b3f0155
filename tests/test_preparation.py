"""How a network wants its inputs is found by how often it is right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from introspect import preparation
from introspect.classifier import Classifier, load_classifier, save_classifier
from introspect.errors import BadInput
from introspect.preparation import INVERTED, SWAPPED, UNIT, Try, judge, prefer, search
from introspect.preprocessing import Preprocessing
from introspect.samples import Samples


@pytest.fixture(scope="module")
def coloured() -> Samples:
    """Pictures of 3 x 4 x 4 whose class is told by how red and how blue they are."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 800)
    x = rng.integers(90, 110, (800, 3, 4, 4))
    x[:, 0] += (y // 2 * 90)[:, None, None]
    x[:, 2] += (y % 2 * 90)[:, None, None]
    return Samples(
        x=x.astype(np.uint8),
        y=y.astype(np.int64),
        split=np.zeros(800, np.uint8),
        classes=("a", "b", "c", "d"),
        ids=np.arange(800),
        name="coloured",
    )


def judge_of_colour(given: Preprocessing) -> Classifier:
    """Right on the pictures only where inputs come as `given` makes them."""
    linear = nn.Linear(48, 4)
    mean = torch.tensor(given.mean).expand(3)
    std = torch.tensor(given.std).expand(3)
    red, blue = (2, 0) if given.swapped else (0, 2)
    turn = -1.0 if given.inverted else 1.0
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
        for label in range(4):
            for channel, on in ((red, label // 2), (blue, label % 2)):
                sign = (1.0 if on else -1.0) * turn
                places = slice(16 * channel, 16 * channel + 16)
                linear.weight[label, places] = sign * std[channel]
                middle = (145 / 255 if turn > 0 else 1 - 145 / 255) - mean[channel]
                linear.bias[label] -= sign * 16 * middle
    module = nn.Sequential(nn.Flatten(), linear, nn.Identity())
    return Classifier.of(module, input_shape=(3, 4, 4), classes=("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Preprocessing(), UNIT),
        (Preprocessing((0.5,), (0.5,)), "-1 to 1"),
        (Preprocessing((0.0,), (1 / 255,)), "0 to 255"),
        (Preprocessing(inverted=True), INVERTED),
        (Preprocessing(swapped=True), SWAPPED),
    ],
)
def test_the_way_of_the_training_is_found_and_makes_the_model_right(
    coloured: Samples, given: Preprocessing, words: str
) -> None:
    found = search(judge_of_colour(given), coloured)
    assert found.tries[found.best].share == 1 and found.plausible
    if given.inverted or given.swapped:
        assert words in found.best and (found.preprocessing.inverted, found.preprocessing.swapped) \
            == (given.inverted, given.swapped)  # fmt: skip
        assert found.tries[UNIT].share < 0.6
    assert all(tried.n == 800 for tried in found.tries.values())


def test_channels_and_inversion_happen_inside_the_classifier() -> None:
    way = Preprocessing((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), swapped=True, inverted=True)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    made = Classifier.of(module, input_shape=(3, 2, 2), preprocessing=way)
    x = torch.rand(5, 3, 2, 2)
    mean = torch.tensor(way.mean).reshape(3, 1, 1)
    std = torch.tensor(way.std).reshape(3, 1, 1)
    wanted = (1 - x.flip(1) - mean) / std
    assert torch.allclose(made.prepare(x), wanted, atol=1e-6)
    plain = dataclasses.replace(made, preprocessing=Preprocessing())
    assert torch.allclose(made(x), plain(wanted), atol=1e-5)


def test_inversion_and_order_are_saved_with_the_model(tmp_path) -> None:
    way = Preprocessing((0.1,), (0.5,), swapped=True, inverted=True)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    made = Classifier.of(module, input_shape=(3, 2, 2), preprocessing=way)
    save_classifier(made, tmp_path)
    again = load_classifier(tmp_path)
    assert again.preprocessing == way and again.fingerprint == made.fingerprint


def test_what_is_not_used_does_not_change_a_fingerprint() -> None:
    assert repr(Preprocessing((0.5,), (0.2,))) == "Preprocessing(mean=(0.5,), std=(0.2,))"
    assert "inverted=True" in repr(Preprocessing(inverted=True))


def test_grey_pictures_have_no_channels_to_swap() -> None:
    with pytest.raises(BadInput, match="three channels"):
        Classifier.of(
            nn.Sequential(nn.Flatten(), nn.Linear(4, 2)),
            input_shape=(1, 2, 2),
            preprocessing=Preprocessing(swapped=True),
        )


def test_plausible_means_well_above_chance_with_so_many_samples() -> None:
    y = np.arange(1000) % 10
    for share, n, expected in (
        (0.97, 1000, True),
        (0.31, 1000, True),
        (0.13, 1000, False),
        (0.10, 1000, False),
        (0.40, 10, False),
    ):
        plausible, sentence = judge(Try(share, 0.1, n), y[:n], 10)
        assert plausible is expected
        assert ("is plausible" in sentence) is expected and "chance is 10.0%" in sentence
    common = np.array([0] * 90 + [1] * 10)
    assert not judge(Try(0.9, 0.1, 100), common, 2)[0]


def test_first_way_stays_unless_another_is_clearly_better() -> None:
    assert prefer({"first": Try(0.90, 0.2, 1000), "other": Try(0.91, 0.1, 1000)}) == "first"
    assert prefer({"first": Try(0.80, 0.2, 1000), "other": Try(0.91, 0.1, 1000)}) == "other"
    near = {"first": Try(0.1, 1, 900), "a": Try(0.9, 0.3, 900), "b": Try(0.905, 0.2, 900)}
    assert prefer(near) == "b"
    foreign = {"first": Try(0.1, 1, 900), "SVHN's mean and deviation": Try(0.9, 0.1, 900)}
    assert prefer({**foreign, "-1 to 1": Try(0.9, 0.2, 900)}) == "-1 to 1"


def test_classes_in_another_order_are_recognised(coloured: Samples) -> None:
    turned = dataclasses.replace(coloured, y=(coloured.y + 1) % 4)
    found = search(judge_of_colour(Preprocessing()), turned)
    assert not found.plausible and "were read as b, and so on" in found.verdict
    assert "another order: it would be right on 100.0%" in found.verdict


def test_useless_model_is_not_called_plausible_nor_wrongly_ordered(coloured: Samples) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    rng = np.random.default_rng(1)
    lost = dataclasses.replace(coloured, y=rng.integers(0, 4, len(coloured)))
    found = search(Classifier.of(module, input_shape=(3, 4, 4)), lost)
    assert not found.plausible and "go on anyway" in found.verdict
    assert "another order" not in found.verdict


def test_slow_models_are_tried_on_fewer_samples(coloured: Samples, monkeypatch) -> None:
    monkeypatch.setattr(preparation, "PATIENCE", 0.0)
    monkeypatch.setattr(preparation, "FEWEST", 40)
    found = search(judge_of_colour(Preprocessing()), coloured)
    assert {tried.n for tried in found.tries.values()} == {40}
