"""One picture becomes what the model takes, the same from every form it comes in."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from introspect.errors import BadInput
from introspect.inputs import as_input, centre_digit, is_dark_on_light

GREY, COLOUR = (1, 28, 28), (3, 32, 32)


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_form_of_a_grey_picture_is_the_same_input(grey):
    expected = torch.tensor(grey / 255, dtype=torch.float32).reshape(1, 1, 28, 28)
    unit = (grey / np.float32(255)).astype(np.float32)
    forms = [
        grey, grey[None], grey[..., None], grey[None, None], png(grey), Image.fromarray(grey),
        grey.astype(float), grey.astype(np.int64), unit, unit.astype(float), torch.from_numpy(unit),
        np.stack([grey] * 3, axis=2), grey.reshape(-1), png(np.stack([grey] * 3, axis=2)),
    ]  # fmt: skip
    for form in forms:
        found = as_input(form, GREY)
        assert found.dtype == torch.float32 and torch.equal(found, expected)
        assert torch.equal(as_input(form, (784,)), expected.reshape(1, 784))
        assert torch.equal(as_input(form, (28, 28)), expected.reshape(1, 28, 28))


def test_every_form_of_a_colour_picture_is_the_same_input(colour):
    expected = torch.tensor(colour / 255, dtype=torch.float32).permute(2, 0, 1)[None]
    for form in (colour, colour.transpose(2, 0, 1), colour[None], png(colour), colour / 255):
        assert torch.equal(as_input(form, COLOUR), expected)


def test_batches_stay_batches(grey, colour):
    batch = np.stack([grey, 255 - grey, grey])
    expected = torch.tensor(batch / 255, dtype=torch.float32)[:, None]
    for form in (batch, batch[:, None], batch[..., None], batch.reshape(3, 784)):
        assert torch.equal(as_input(form, GREY), expected)
    assert as_input(np.stack([colour] * 5), COLOUR).shape == (5, *COLOUR)


def test_grey_is_repeated_and_colour_weighed():
    grey = np.full((32, 32), 51, np.uint8)
    assert torch.equal(as_input(grey, COLOUR), torch.full((1, *COLOUR), 0.2))
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = 255
    assert torch.allclose(as_input(red, GREY), torch.tensor(0.299))


def test_resizing_keeps_the_middle_and_averages():
    wide = np.zeros((280, 560), np.uint8)
    wide[:, 140:420] = 200
    seen = as_input(wide, GREY, resize=True)
    assert torch.allclose(seen, torch.tensor(200 / 255))
    stripes = np.tile(np.array([0, 255], np.uint8), (56, 28))
    inner = as_input(stripes, GREY, resize=True)[0, 0, 2:-2, 2:-2]
    assert (inner - 0.5).abs().max() < 0.13
    with pytest.raises(BadInput, match="560 x 280 pixels but the model takes 28 x 28"):
        as_input(wide, GREY)


def test_ink_on_paper_is_recognised_and_turned():
    paper = np.full((28, 28), 250, np.uint8)
    paper[8:20, 13:15] = 10
    assert is_dark_on_light(paper / 255) and not is_dark_on_light(1 - paper / 255)
    turned = as_input(paper, GREY, invert="auto")
    assert torch.allclose(turned, 1 - as_input(paper, GREY))
    assert torch.equal(as_input(255 - paper, GREY, invert="auto"), as_input(255 - paper, GREY))
    assert torch.allclose(as_input(paper, GREY, invert=True), turned)


def test_drawing_lands_where_mnist_has_its_digits():
    rng = np.random.default_rng(0)
    for _ in range(20):
        side = int(rng.integers(60, 400))
        drawing = np.zeros((side, side), np.uint8)
        top, left = rng.integers(0, side // 3, 2)
        drawing[top : top + side // 2, left : left + side // 9] = 255
        drawing[top : top + side // 9, left : left + side // 3] = 255
        placed = centre_digit(drawing)
        rows, columns = np.nonzero(placed > 0)
        assert placed.shape == (28, 28)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        mass = placed.sum()
        grid = np.arange(28)
        centre = np.array([placed.sum(1) @ grid, placed.sum(0) @ grid]) / mass
        assert np.abs(centre - 14).max() <= 0.51


def test_moved_and_scaled_drawing_is_the_same_digit():
    small = np.zeros((100, 100), np.uint8)
    small[10:60, 20:28] = 255
    small[10:18, 20:60] = 255
    moved = np.roll(small, (25, 31), (0, 1))
    assert np.array_equal(centre_digit(small), centre_digit(moved))
    large = small.repeat(3, 0).repeat(3, 1)
    assert np.abs(centre_digit(small) - centre_digit(large)).max() < 0.15


def test_centred_drawing_reaches_the_model_whole():
    drawing = np.zeros((280, 280, 4), np.uint8)
    drawing[..., 3] = 255
    drawing[60:200, 100:130, :3] = 255
    seen = as_input(drawing, GREY, centre=True, invert="auto")
    assert np.array_equal(seen[0, 0], centre_digit(drawing[..., 0]))
    with pytest.raises(BadInput, match="drawing is empty"):
        as_input(np.zeros((28, 28)), GREY, centre=True)


def test_tables_are_kept_as_they_are():
    rows = np.array([[1.5, -300.0, 7.0]])
    assert torch.equal(as_input(rows, (3,)), torch.tensor(rows, dtype=torch.float32))
    assert torch.equal(as_input(rows[0], (3,)), torch.tensor(rows, dtype=torch.float32))
    with pytest.raises(BadInput, match="model takes"):
        as_input(rows, (4,))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((28, 28), np.nan), "NaN"),
        (np.full((28, 28), -0.5), "from -0.5 to -0.5"),
        (np.full((28, 28), 3.7), "neither 0-1"),
        (np.full((28, 28), 300), "neither 0-1"),
        (np.zeros((2, 2, 2, 2, 2)), "is no picture"),
        (np.zeros((0, 28, 28)), "neither a picture nor"),
        (np.array(["a"]), "neither a picture nor"),
        (b"not a picture", "not a PNG"),
        (np.zeros((27, 28), np.uint8), "28 x 27 pixels"),
    ],
)
def test_unusable_pictures_are_sentences(array, words):
    with pytest.raises(BadInput, match=words):
        as_input(array, GREY)
