"""Pictures from parquet as Hugging Face writes them, and pictures of many sizes by a recipe."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from introspect.errors import BadInput
from introspect.framing import frame, to_grey
from introspect.recipe import Recipe
from introspect.samples import load_samples
from introspect.survey import survey_upload


def png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def pictures(n: int = 12, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)


def write(path, x, y, names=("cat", "dog", "cow"), struct: bool = True) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    raw = [png(picture) for picture in x]
    image = (
        pa.array([{"bytes": data, "path": "/etc/passwd"} for data in raw])
        if struct
        else pa.array(raw, pa.binary())
    )
    label = {"_type": "ClassLabel", "names": list(names)}
    said = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    table = pa.table({"image": image, "label": y})
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(said)}), path)


@pytest.mark.parametrize("struct", [True, False])
def test_pictures_labels_and_class_names_are_read_from_bytes(tmp_path, struct) -> None:
    x, y = pictures(), [i % 3 for i in range(12)]
    write(tmp_path / "a.parquet", x, y, struct=struct)
    found = load_samples(tmp_path / "a.parquet")
    assert np.array_equal(found.x, x.transpose(0, 3, 1, 2)) and found.y.tolist() == y
    assert found.classes == ("cat", "dog", "cow")


def test_folder_of_files_is_one_set_whose_names_tell_the_split(tmp_path) -> None:
    x, y = pictures(), [i % 3 for i in range(12)]
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train-00000-of-00001.parquet", x[:9], y[:9])
    write(tmp_path / "data" / "test-00000-of-00001.parquet", x[9:], y[9:])
    found = load_samples(tmp_path)
    assert np.array_equal(found.of("train").x, x[:9].transpose(0, 3, 1, 2))
    assert found.of("test").y.tolist() == y[9:]


def test_row_without_a_picture_is_named(tmp_path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = pa.array([png(pictures()[0]), None])
    parquet.write_table(pa.table({"image": rows, "label": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"Row 2 of a\.parquet has no picture"):
        load_samples(tmp_path / "a.parquet")


def zipped(path, members) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, picture in members.items():
            archive.writestr(name, png(picture))


def test_pictures_of_many_sizes_are_fitted_as_the_recipe_says(tmp_path) -> None:
    rng = np.random.default_rng(0)
    members = {
        f"{name}/{i}.png": rng.integers(0, 256, (8 + i, 12, 3), np.uint8)
        for name in "ab"
        for i in range(3)
    }
    zipped(tmp_path / "a.zip", members)
    with pytest.raises(BadInput, match="--size 32x32"):
        load_samples(tmp_path / "a.zip")
    for fit in ("crop", "stretch", "pad"):
        found = load_samples(tmp_path / "a.zip", recipe=Recipe(size=(6, 6), fit=fit, grey=True))
        wanted = [frame(to_grey(picture), 6, 6, fit) for picture in members.values()]
        assert np.array_equal(found.x[:, 0], np.stack(wanted))
        assert Recipe.parse(found.recipe.document()) == found.recipe


def test_crop_keeps_the_middle_pad_keeps_all_and_stretch_fills() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200  # the middle third
    wide[0], wide[-1] = 0, 0
    wide[1:-1, :3] = 90  # at the left edge
    cropped, padded = frame(wide, 10, 10, "crop"), frame(wide, 30, 30, "pad")
    assert (cropped[1:-1] == 200).all()
    assert (padded[:10] == 0).all() and (padded[20:] == 0).all()
    assert np.array_equal(padded[10:20], wide)
    stretched = frame(wide, 30, 30, "stretch")
    assert stretched[15, 15] == 200 and stretched[15, 1] == 90
    assert frame(wide, 10, 30, "crop") is wide


def test_ground_of_a_padded_picture_is_the_colour_of_its_rim() -> None:
    picture = np.full((4, 8, 3), (10, 200, 30), np.uint8)
    picture[1:3, 2:6] = 0
    assert (frame(picture, 8, 8, "pad")[0] == (10, 200, 30)).all()


def test_grey_is_what_pillow_calls_it() -> None:
    x = pictures(1, 16)[0]
    theirs = np.asarray(Image.fromarray(x).convert("L")).astype(int)
    assert np.abs(to_grey(x).astype(int) - theirs).max() <= 1


def test_look_tells_sizes_columns_and_guesses_before_anything_is_read(tmp_path) -> None:
    members = {"a/0.png": pictures(1)[0], "a/1.png": pictures(1)[0], "b/0.png": pictures(1, 9)[0]}
    zipped(tmp_path / "a.zip", members)
    found = survey_upload(tmp_path / "a.zip", tmp_path)
    assert found["kind"] == "pictures" and found["n"] == 3 and not found["same"]
    assert found["sizes"][0] == [8, 8, 2] and found["colour"]
    assert np.array_equal(np.load(tmp_path / "example0.npy"), members["a/0.png"])
    (tmp_path / "b.csv").write_text("id,age,town,class\n1,3,x,a\n2,,y,b\n3,5,x,a\n")
    told = survey_upload(tmp_path / "b.csv", tmp_path)
    assert told["label"] == "class" and told["left"] == ["id"]
    assert {c["name"]: c["gap"] for c in told["columns"]} == {
        "id": None, "age": 1, "town": None, "class": None,
    }  # fmt: skip
    write(tmp_path / "c.parquet", pictures(), [i % 3 for i in range(12)])
    told = survey_upload(tmp_path / "c.parquet", tmp_path)
    assert told["kind"] == "pictures" and told["label"] == "label" and told["n"] == 12
    np.savez(tmp_path / "d.npz", x=np.zeros(3))
    assert survey_upload(tmp_path / "d.npz", tmp_path) == {"kind": "arrays"}


def test_one_picture_is_data_too(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(png(pictures(1)[0]))
    found = load_samples(tmp_path / "a.png", classes=("cat", "dog"), recipe=Recipe(size=(4, 4)))
    assert found.x.shape == (1, 3, 4, 4) and found.y.tolist() == [-1]


@pytest.mark.parametrize(
    "given",
    [[], 3, {"fit": "squash"}, {"size": [0, 4]}, {"size": [1.5, 2]}, {"size": 3}, {"label": 3},
     {"columns": "abc"}, {"codes": {"a": "bc"}}, {"classes": ["a", "a"]}, {"size": [2**40, 1]}],
)  # fmt: skip
def test_recipe_that_is_none_is_refused(given) -> None:
    with pytest.raises(BadInput):
        Recipe.parse(given)
