"""Recipe: how a person's files become inputs; chosen once and done to new samples alike.

A table needs a label column, the columns that are read and a number for every category; pictures
of many sizes need a size and a way to fit them. The defaults do for data that need none of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from introspect.errors import BadInput
from introspect.intake import MAX_CLASSES, check_names

FITS = {
    "crop": "cut to the middle part of the wanted shape, then scaled",
    "stretch": "scaled to the wanted size, whatever its shape",
    "pad": "scaled to fit whole, the rest filled with the colour of its rim",
}
"""The ways to bring a picture to another size, and what each does to it."""

MAX_SIDE = 4096
MAX_NAMES_BYTES = 4 << 20


@dataclass(frozen=True)
class Recipe:
    """What is done to files before they are inputs; empty fields mean "as the data say".

    Attributes:
        label: column of the labels.
        image: column of the pictures.
        columns: columns of a table that are read, in this order.
        codes: for each column of categories its texts; a text's place is its number.
        size: height and width that pictures are brought to.
        fit: how: a key of `FITS`.
        grey: whether colour is left out.
        classes: names of the classes, where the data give numbers only.
    """

    label: str = ""
    image: str = ""
    columns: tuple[str, ...] = ()
    codes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    size: tuple[int, int] | None = None
    fit: str = "crop"
    grey: bool = False
    classes: tuple[str, ...] = ()

    def order(self, pictures: bool) -> list[str]:
        """Everything that is done to one input before the network's own preprocessing, in order."""
        if not pictures:
            read = f"columns read: {', '.join(self.columns)}" if self.columns else "values as given"
            coded = ", ".join(name for name, _ in self.codes)
            return [read, *([f"categories numbered in: {coded}"] if coded else [])]
        steps = ["turned upright", "transparency laid on white", "8 bits a channel"]
        if self.grey:
            steps.append("colour left out")
        if self.size is not None:
            steps.append(f"{FITS[self.fit]}: {self.size[1]} x {self.size[0]} pixels")
        return [*steps, "0-255 divided by 255"]

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what is left as it is does not show."""
        plain = Recipe()
        found = {
            name: list(value) if isinstance(value, tuple) else value
            for name in ("label", "image", "columns", "size", "fit", "grey", "classes")
            if (value := getattr(self, name)) != getattr(plain, name)
        }
        if self.codes:
            found["codes"] = {column: list(texts) for column, texts in self.codes}
        return found

    def told(self, pictures: bool) -> dict[str, Any]:
        """The document as an atlas keeps it, with the order of the steps in words."""
        return self.document() | {"order": self.order(pictures)}

    @classmethod
    def parse(cls, given: Any) -> Recipe:
        """From a document, which may be anyone's.

        Raises:
            BadInput: it is something else.
        """
        try:
            size = given.get("size")
            made = cls(
                label=_text(given.get("label", "")),
                image=_text(given.get("image", "")),
                columns=_texts(given.get("columns", ())),
                codes=tuple((_text(k), _texts(v)) for k, v in given.get("codes", {}).items()),
                size=None if size is None else check_size(*size),
                fit=_text(given.get("fit", "crop")),
                grey=bool(given.get("grey", False)),
                classes=check_names(_texts(given.get("classes", ()))),
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput("What was chosen for the data is damaged: choose again.") from error
        if made.fit not in FITS:
            raise BadInput(f"There is no way {made.fit[:40]!r} to fit pictures: {', '.join(FITS)}.")
        return made


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """The recipe of the data an atlas was made of; the plain one for atlases made before recipes.

    Raises:
        BadInput: the settings are damaged.
    """
    data = settings.get("data")
    given = data.get("intake") if isinstance(data, Mapping) else None
    return Recipe() if given is None else Recipe.parse(given)


def check_size(height: Any, width: Any) -> tuple[int, int]:
    """Height and width as whole numbers that a picture may have.

    Raises:
        BadInput: they are not.
    """
    if not all(type(side) is int and 1 <= side <= MAX_SIDE for side in (height, width)):
        raise BadInput(f"Pictures are fitted to sides of 1 to {MAX_SIDE:,} pixels: choose others.")
    return height, width


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str | Mapping):
        raise TypeError("no list")
    return tuple(_text(value) for value in values)


def split_names(text: str) -> tuple[str, ...]:
    """Class names as typed: one a line, or in one line with commas between them.

    Raises:
        BadInput: as `check_names`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = [part.strip() for part in lines[0].split(",") if part.strip()]
    return check_names(lines)


def read_names(path: Path) -> tuple[str, ...]:
    """Class names out of a file: text with one name a line, or a JSON list (or `{name: number}`).

    Raises:
        BadInput: the file is no such thing.
    """
    if path.stat().st_size > MAX_NAMES_BYTES:
        raise BadInput(f"{path.name} is too large for class names: give one short name a line.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("no text")
        if path.suffix.lower() != ".json":
            return split_names(text)
        given = json.loads(text)
        if isinstance(given, dict):
            given = _in_order(given)
        return check_names(_texts(given))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(
            f"{path.name} holds no class names: give a text file with one name a line, or a JSON "
            "list of names."
        ) from error


def _in_order(given: Mapping[str, Any]) -> Sequence[Any]:
    """`{"0": "cat", "1": "dog"}` and `{"cat": 0, "dog": 1}` both mean cat, dog."""
    if len(given) > MAX_CLASSES:
        raise ValueError("too many")
    if all(key.isdecimal() for key in given):
        given = {value: int(key) for key, value in given.items()}
    if sorted(given.values()) != list(range(len(given))):
        raise ValueError("numbers are left out")
    return sorted(given, key=lambda name: given[name])


def read_names_upload(path: Path, folder: Path) -> dict[str, Any]:
    """What the quarantine child runs on an uploaded file of class names."""
    return {"classes": list(read_names(path))}
