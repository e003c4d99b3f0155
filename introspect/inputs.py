"""One picture, drawn or uploaded: what does the model see of it?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image

from introspect.errors import BadInput
from introspect.pictures import decode_picture, is_grey, to_array

if TYPE_CHECKING:
    import torch

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def as_input(
    array: Any,
    input_shape: tuple[int, ...],
    *,
    resize: bool = False,
    invert: bool | Literal["auto"] = False,
    centre: bool = False,
) -> torch.Tensor:
    """One picture, or a batch of inputs, as float32 `(m, *input_shape)` in [0, 1].

    Args:
        array: bytes of a PNG, JPEG, WebP or BMP file, a PIL image, a tensor or an array of shape
            `(h, w)`, `(h, w, c)`, `(c, h, w)`, `input_shape`, or a batch of these. Whole numbers up
            to 255 count as bytes. Where the model takes a table, values are kept as they are.
        input_shape: one input of the model, channels first.
        resize: cut a picture of another shape to the model's (centred) and scale it smoothly;
            otherwise another size is refused.
        invert: swap black and white; "auto" does so when the picture's border is bright.
        centre: place the strokes as MNIST does (`centre_digit`).

    Raises:
        BadInput: no picture, NaN, values in no known range, or a size or number of channels that
            does not fit the model.
    """
    import torch

    shape = tuple(int(side) for side in input_shape)
    values = _to_numbers(array)
    picture_shape = _picture_shape(shape)
    if picture_shape is None:
        return torch.from_numpy(_as_table(values, shape))
    if not (resize or centre or invert) and shape in (values.shape, values.shape[1:]):
        ready = _scale_values(values).reshape(-1, *shape)
        return torch.from_numpy(np.array(ready))
    batch = [
        _fit_picture(_scale_values(one), picture_shape, resize, invert, centre)
        for one in _pictures(values, picture_shape)
    ]
    return torch.from_numpy(np.stack(batch).reshape(-1, *shape))


def _to_numbers(array: Any) -> np.ndarray:
    import torch

    if isinstance(array, bytes | bytearray | memoryview):
        return decode_picture(bytes(array))
    if isinstance(array, Image.Image):
        return to_array(array)
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    values = np.asarray(array)
    if values.dtype.kind not in "buif" or values.size == 0:
        raise BadInput("This is neither a picture nor an array of numbers.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInput("The input holds NaN or infinite values: remove or repair them.")
    return values


def _picture_shape(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(c, h, w) of a model's input when it is a picture, flattened or not; None for a table."""
    if len(shape) == 3:
        return shape
    if len(shape) == 2:
        return (1, *shape)
    for channels in (1, 3):
        if len(shape) == 1 and shape[0] % channels == 0 and shape[0] // channels >= 64:
            side = math.isqrt(shape[0] // channels)
            if side * side * channels == shape[0]:
                return channels, side, side
    return None


def _as_table(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if shape not in (values.shape, values.shape[1:]):
        raise BadInput(f"The input has shape {values.shape} but the model takes {shape}.")
    scale = 255 if values.dtype == np.uint8 else 1
    return np.array(values.reshape(-1, *shape), np.float32) / np.float32(scale)


def _scale_values(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    if -1e-4 <= low and high <= 1.5:
        return np.clip(values, 0, 1).astype(np.float32)
    if 0 <= low and high <= 255 and np.array_equal(values, np.floor(values)):
        return values.astype(np.float32) / np.float32(255)
    raise BadInput(
        f"The picture holds values from {low:.4g} to {high:.4g}, neither 0-1 nor whole numbers "
        "0-255: scale it to one of the two."
    )


def _pictures(values: np.ndarray, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """The single pictures in an array, each `(h, w)`, `(h, w, c)` or `(c, h, w)`."""
    if values.ndim == 1 and values.size == math.prod(shape):
        return [values.reshape(shape)]
    if values.ndim == 2 and values.shape[1] == math.prod(shape) and values.shape[1] != shape[2]:
        return [row.reshape(shape) for row in values]
    if values.ndim == 2:
        return [values]
    single = values.shape[2] in (1, 3, 4) or values.shape[0] in (1, 3)
    if values.ndim == 3 and single and values.shape[1:] != shape[1:]:
        return [values]
    if values.ndim == 3 and values.shape[0] == 3 and shape[0] == 3:
        return [values]
    if values.ndim in (3, 4):
        return list(values)
    raise BadInput(f"An array of shape {values.shape} is no picture: give (h, w) or (h, w, c).")


def _fit_picture(
    picture: np.ndarray, shape: tuple[int, int, int], resize: bool, invert: bool | str, centre: bool
) -> Float32[np.ndarray, "c h w"]:
    channels, height, width = shape
    colour = _channel_last(picture)
    if invert is True or (invert == "auto" and is_dark_on_light(colour)):
        colour = 1 - colour
    grey = colour.shape[2] == 1
    if channels == 1 and not grey:
        colour = colour[..., :1] if is_grey(colour) else (colour @ _LUMA)[..., None]
    elif channels == 3 and grey:
        colour = np.repeat(colour, 3, axis=2)
    elif channels not in (1, 3) and colour.shape[2] != channels:
        raise BadInput(f"The picture has {colour.shape[2]} channels, the model takes {channels}.")
    if centre and channels == 1:
        colour = centre_digit(colour[..., 0], height, width)[..., None]
    if colour.shape[:2] != (height, width):
        if not resize:
            raise BadInput(
                f"The picture is {colour.shape[1]} x {colour.shape[0]} pixels but the model takes "
                f"{width} x {height}: resize it, or let Introspect do so."
            )
        colour = _resize(colour, height, width)
    return np.ascontiguousarray(colour.transpose(2, 0, 1), np.float32)


def _channel_last(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture[..., None]
    if picture.shape[2] == 4:
        # transparent parts show white, as a browser shows them
        alpha = picture[..., 3:]
        return picture[..., :3] * alpha + (1 - alpha)
    if picture.shape[2] in (1, 3):
        return picture
    if picture.shape[0] in (1, 3):
        return picture.transpose(1, 2, 0)
    return picture.transpose(1, 2, 0) if picture.shape[0] < picture.shape[2] else picture


def _resize(picture: np.ndarray, height: int, width: int) -> Float32[np.ndarray, "h w c"]:
    """The largest centred part of the wanted aspect, scaled with antialiasing."""
    import torch

    h, w = picture.shape[:2]
    cut_w = min(w, max(1, round(h * width / height)))
    cut_h = min(h, max(1, round(w * height / width)))
    top, left = (h - cut_h) // 2, (w - cut_w) // 2
    part = np.ascontiguousarray(picture[top : top + cut_h, left : left + cut_w].transpose(2, 0, 1))
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(part)[None], (height, width), mode="bilinear", antialias=True
    )
    return scaled[0].clamp_(0, 1).permute(1, 2, 0).numpy()


def is_dark_on_light(picture: np.ndarray) -> bool:
    """Whether the border of a picture `(h, w)` or `(h, w, c)` in [0, 1] is bright.

    MNIST's digits are white on black; a photo or scan of ink on paper is the other way round.
    """
    border = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return bool(np.median(np.concatenate([edge.ravel() for edge in border])) > 0.5)


def centre_digit(
    drawing: np.ndarray, height: int = 28, width: int = 28
) -> Float32[np.ndarray, "h w"]:
    """A bright-on-dark drawing placed as in MNIST: in a box of 20/28 of the side, mass centred.

    LeCun et al. 1998: "size normalized to fit in a 20x20 pixel box while preserving their aspect
    ratio ... centered in a 28x28 image by computing the center of mass of the pixels, and
    translating the image so as to position this point at the center". In the published files
    that point is pixel (14, 14), counted from 0 (mean 14.00, 14.01).

    Args:
        drawing: `(h, w)`, any size, strokes bright; uint8 or in [0, 1].
        height, width: of the result.

    Raises:
        BadInput: nothing is drawn.
    """
    ink = _scale_values(np.asarray(drawing))
    ink = np.where(ink > 0.05, ink, 0).astype(np.float32)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        raise BadInput("The drawing is empty: draw a digit, bright on dark.")
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box_h, box_w = round(height * 20 / 28), round(width * 20 / 28)
    scale = min(box_h / ink.shape[0], box_w / ink.shape[1])
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    small = Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR)
    ink = np.asarray(small).clip(0, 1)
    mass = ink.sum()
    top = round(height / 2 - (ink.sum(1) @ np.arange(ink.shape[0])) / mass)
    left = round(width / 2 - (ink.sum(0) @ np.arange(ink.shape[1])) / mass)
    top = min(max(top, 0), height - ink.shape[0])
    left = min(max(left, 0), width - ink.shape[1])
    placed = np.zeros((height, width), np.float32)
    placed[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return placed
