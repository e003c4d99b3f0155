"""Samples: what comes in, what it becomes, and what is said when it cannot be used."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from introspect.datafile import Columns
from introspect.errors import BadInput
from introspect.samples import (
    SPLITS,
    Samples,
    load_samples,
    make_samples,
    save_samples,
    stratified_split,
)


@pytest.fixture
def pictures():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (40, 1, 6, 5), np.uint8), np.arange(40, dtype=np.int64) % 4


def make(x, y=None, **fields):
    classes = fields.pop("classes", None)
    return make_samples(Columns(x, y, **fields), classes=classes)


# ------------------------------------------------------------------ the noun


def test_floats_are_bytes_over_255_exactly(pictures):
    samples = make(*pictures)
    expected = torch.tensor((pictures[0].astype(np.float64) / 255).astype(np.float32))
    assert torch.equal(samples.floats(), expected)
    assert samples.floats().dtype == torch.float32


def test_batches_in_order_are_all_floats(pictures):
    samples = make(*pictures)
    sizes = [len(batch) for batch in samples.batches(16)]
    assert sizes == [16, 16, 8]
    assert torch.equal(torch.cat(list(samples.batches(16))), samples.floats())


def test_rows_are_chosen_by_slice_indices_mask_and_number(pictures):
    samples = make(*pictures)
    mask = samples.y == 2
    for rows in (slice(3, 9), [5, 1, 5], mask, 7):
        part = samples[rows]
        wanted = np.atleast_1d(np.arange(40)[rows])
        assert part.ids.tolist() == wanted.tolist()
        assert np.array_equal(part.x, samples.x[wanted])
        assert np.array_equal(part.y, samples.y[wanted])
        assert np.array_equal(part.split, samples.split[wanted])
    assert np.shares_memory(samples[3:9].x, samples.x)


def test_splits_part_the_samples(pictures):
    samples = make(*pictures)
    ids = np.concatenate([samples.of(name).ids for name in SPLITS])
    assert sorted(ids) == list(range(40))
    with pytest.raises(BadInput, match="no split 'dev'"):
        samples.of("dev")


def test_arrays_are_read_only_and_the_callers_stay_writable(pictures):
    x, y = pictures
    samples = make(x, y)
    for array in (samples.x, samples.y, samples.split, samples.ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    x[0] = 1


def test_fingerprint_is_of_content_not_of_origin(pictures, tmp_path):
    x, y = pictures
    samples = make(x, y)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert load_samples(tmp_path / "a.npz").fingerprint == samples.fingerprint
    assert make(np.asfortranarray(x), y).fingerprint == samples.fingerprint
    changed = x.copy()
    changed[17, 0, 3, 3] ^= 1
    assert make(changed, y).fingerprint != samples.fingerprint
    assert make(x, (y + 1) % 4).fingerprint != samples.fingerprint
    literal = hashlib.sha256(repr((x.shape, "|u1")).encode() + x.tobytes() + y.tobytes())
    assert samples.fingerprint == literal.hexdigest()


def test_stratified_split_is_seeded_and_balanced():
    y = np.repeat([0, 1, 2], [500, 50, 10])
    split = stratified_split(y, seed=1)
    assert np.array_equal(split, stratified_split(y, seed=1))
    assert not np.array_equal(split, stratified_split(y, seed=2))
    for label, count in enumerate([500, 50, 10]):
        counts = np.bincount(split[y == label], minlength=3)
        assert counts.tolist() == [count * 8 // 10, count // 10, count // 10]


def test_importing_samples_loads_neither_torch_nor_pyarrow():
    code = "import sys, introspect.samples; print({'torch', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ------------------------------------------------------------------ sources


def test_every_source_of_the_same_data_gives_the_same_samples(pictures, tmp_path):
    x, y = pictures
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez_compressed(tmp_path / "b.npz", images=x[:, 0], labels=y)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    from safetensors.numpy import save_file

    save_file({"x": x, "y": y}, tmp_path / "c.safetensors")
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    sources = [
        tmp_path / "a.npz",
        str(tmp_path / "b.npz"),
        tmp_path / "x.npy",
        tmp_path / "c.safetensors",
        (x, y),
        {"x": x, "y": y},
        tensors,
        TensorDataset(*tensors),
        DataLoader(TensorDataset(*tensors), batch_size=7),
        (x.astype(np.float32) / np.float32(255), y),
        (x.transpose(0, 2, 3, 1), y.astype(float)),
        (x, np.eye(4)[y]),
    ]
    for source in sources:
        samples = load_samples(source)
        assert samples.fingerprint == make(x, y).fingerprint, source
        assert samples.classes == ("0", "1", "2", "3")
    assert load_samples(samples) is samples


def test_saved_samples_come_back_mapped_and_whole(pictures, tmp_path):
    x, y = pictures
    split = (np.arange(40) % 3).astype(np.uint8)
    before = make(x, y, split=split, ids=np.arange(40) + 60_000, classes=list("abcd"))
    save_samples(before, tmp_path / "kept")
    after = load_samples(tmp_path / "kept")
    assert after.fingerprint == before.fingerprint
    assert after.classes == before.classes
    assert np.array_equal(after.split, split) and np.array_equal(after.ids, before.ids)


def test_stored_arrays_are_mapped_not_read(tmp_path):
    x = np.random.default_rng(0).random((20, 4, 4), np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    np.save(tmp_path / "b.npy", x)

    def owner(array):
        while not isinstance(array, np.memmap) and array.base is not None:
            array = array.base
        return array

    for name in ("a.npz", "b.npy"):
        samples = load_samples(tmp_path / name)
        assert isinstance(owner(samples.x), np.memmap)
        assert np.array_equal(samples.x[:, 0], x)


def test_split_classes_and_ids_of_a_file_are_kept(pictures, tmp_path):
    x, y = pictures
    names = np.array(["ant", "bee", "cat", "dog"])
    split = np.array(["train", "val", "test", "train"])[np.arange(40) % 4]
    np.savez(tmp_path / "a.npz", x=x, y=y, split=split, classes=names, ids=np.arange(40)[::-1])
    samples = load_samples(tmp_path / "a.npz")
    assert samples.classes == ("ant", "bee", "cat", "dog")
    assert samples.split[:4].tolist() == [0, 1, 2, 0]
    assert samples.ids[0] == 39
    test = load_samples(f"{tmp_path / 'a.npz'}:test")
    assert len(test) == 10 and test.name == "a:test" and set(test.split) == {2}


def test_keras_layout_keeps_its_test_part(pictures, tmp_path):
    x, y = pictures
    parts = {"x_train": x[:30], "y_train": y[:30], "x_test": x[30:], "y_test": y[30:]}
    np.savez(tmp_path / "k.npz", **parts)
    samples = load_samples(tmp_path / "k.npz")
    assert samples.fingerprint == make(x, y).fingerprint
    assert samples.split.tolist() == [0] * 30 + [2] * 10


def test_names_as_labels_are_numbered_in_natural_order():
    y = np.array(["10", "9", "2", "10", "9", "2"])
    samples = make(np.zeros((6, 3)), y)
    assert samples.classes == ("2", "9", "10")
    assert samples.y.tolist() == [2, 1, 0, 2, 1, 0]
    assert make(np.zeros((6, 3)), y, classes=["9", "10", "2"]).y.tolist() == [1, 0, 2, 1, 0, 2]


def test_data_without_labels_have_minus_one(tmp_path):
    np.save(tmp_path / "new.npy", np.zeros((5, 4, 4), np.uint8) + 7)
    samples = load_samples(tmp_path / "new.npy")
    assert samples.y.tolist() == [-1] * 5 and samples.classes == ()
    assert load_samples(tmp_path / "new.npy", classes=["a", "b"]).classes == ("a", "b")


# ------------------------------------------------------------------ meeting a model


def test_fitted_regroups_axes_without_touching_values(pictures):
    samples = make(*pictures)
    flat = samples.fitted((30,), 4)
    assert flat.shape == (30,) and torch.equal(flat.floats(), samples.floats().flatten(1))
    assert flat.fitted((1, 6, 5), list("abcd")).classes == ("a", "b", "c", "d")
    colour = samples.fitted((3, 6, 5), 4)
    assert torch.equal(colour.floats(), samples.floats().expand(-1, 3, -1, -1))
    assert torch.equal(colour.fitted((1, 6, 5), 4).floats(), samples.floats())
    assert colour.notes and not samples.notes


@pytest.mark.parametrize(
    ("shape", "classes", "words"),
    [
        ((1, 28, 28), 4, "5 x 6 with 1 channel but the model takes 28 x 28 with 1 channel"),
        ((7,), 4, "the model takes 7 values"),
        ((1, 6, 5), 3, "label 3 .*tells 3 classes apart"),
    ],
)
def test_data_that_do_not_fit_the_model_are_told_apart(pictures, shape, classes, words):
    with pytest.raises(BadInput, match=words):
        make(*pictures).fitted(shape, classes)


def test_real_colour_is_never_made_grey_silently():
    x = np.random.default_rng(0).integers(0, 256, (10, 3, 8, 8), np.uint8)
    with pytest.raises(BadInput, match="3 channels but the model takes 1"):
        make(x, np.arange(10) % 2).fitted((1, 8, 8), 2)


def test_joined_test_data_are_the_only_test_split(pictures):
    samples = make(*pictures)
    whole = samples.joined(make(pictures[0][:9], pictures[1][:9]))
    assert len(whole) == 49 and len(np.unique(whole.ids)) == 49
    assert whole.of("test").fingerprint == make(pictures[0][:9], pictures[1][:9]).fingerprint
    assert len(whole.of("validation")) == len(samples.of("validation"))
    with pytest.raises(BadInput, match="do not fit"):
        samples.joined(make(np.zeros((4, 9, 9), np.uint8), np.arange(4)))


# ------------------------------------------------------------------ values


def test_whole_floats_up_to_255_are_divided_and_it_is_said(pictures):
    x, y = pictures
    samples = make(x.astype(np.float64), y)
    assert samples.fingerprint == make(x, y).fingerprint
    assert "divided by 255" in samples.notes[0]
    flat = make(np.random.default_rng(0).integers(0, 256, (9, 784)).astype(float))
    assert flat.x.dtype == np.uint8 and flat.notes == samples.notes


def test_tables_are_kept_as_they_are():
    table = np.array([[0.0, 255.0, -3.5], [7.0, 2.0, 1e6]])
    samples = make(table, np.array([0, 1]))
    assert np.array_equal(samples.x, table.astype(np.float32)) and not samples.notes
    digits = np.arange(2 * 64).reshape(2, 64) % 17.0
    assert np.array_equal(make(digits, np.array([0, 1])).x, digits)


def test_pictures_in_unit_range_keep_every_bit():
    x = np.random.default_rng(0).random((6, 2, 9, 9)).astype(np.float32)[:, :1]
    assert np.array_equal(make(x, np.arange(6)).x, x)


def test_zeros_and_ones_are_black_and_white():
    x = np.random.default_rng(0).integers(0, 2, (6, 1, 9, 9))
    for kind in (bool, np.uint8, np.int64):
        samples = make(x.astype(kind), np.arange(6))
        assert torch.equal(samples.floats(), torch.tensor(x, dtype=torch.float32))
        assert "black and white" in samples.notes[0]


PICTURE = np.full((6, 1, 8, 8), 0.5, np.float32)
BAD_VALUES = {
    "already normalised": PICTURE - 1,
    "neither 0-1 nor whole numbers": PICTURE * 7.3,
    "whole numbers from 0 to 16 only": np.tile([0.0, 16.0], 192).reshape(6, 1, 8, 8),
    "from 0 to 65535": np.tile([0, 65535], 192).reshape(6, 1, 8, 8).astype(np.uint16),
    "from 255.5 to 256.5": PICTURE + 255 + np.arange(2).repeat(192).reshape(6, 1, 8, 8),
    "1 of 6 samples hold NaN.*first: sample 4": np.where(
        np.arange(6)[:, None, None, None] == 4, np.nan, PICTURE
    ),
    "2 of 6 samples hold .*first: sample 0": np.where(
        np.arange(6)[:, None, None, None] % 5 == 0, np.inf, PICTURE
    ),
    "far too large": np.full((6, 3), 1e300),
    "type object": np.array([[1, "a"], [2, "b"]], object),
    "type <U1": np.array([["a"], ["b"]]),
    "type complex": np.ones((3, 3), complex),
    r"shape \(6,\)": np.zeros(6),
    r"shape \(2, 1, 2, 3, 4\)": np.zeros((2, 1, 2, 3, 4)),
    "nothing in them": np.zeros((0, 1, 8, 8)),
    "4 channels": np.zeros((6, 8, 8, 4), np.uint8),
}


@pytest.mark.parametrize("words", BAD_VALUES)
def test_unusable_inputs_are_refused_in_one_sentence(words):
    with pytest.raises(BadInput, match=words) as error:
        make(BAD_VALUES[words], np.arange(len(BAD_VALUES[words])))
    assert "\n" not in str(error.value)


BAD_LABELS = {
    "6 inputs but 5 labels": np.arange(5),
    "Sample 2 has the label 7.*10 classes|Sample 2 has the label 7": np.array([0, 1, 7, 2, 3, 1]),
    "Sample 1 has the label -2": np.array([0, -2, 1, 0, 1, 2]),
    "Sample 3 has the label 0.5": np.array([0, 1, 2, 0.5, 1, 2]),
    "Sample 5 has the label nan": np.array([0, 1, 2, 0, 1, np.nan]),
    "labels have shape": np.ones((6, 2)),
    "'zebra' is no class": np.array(["a", "b", "c", "a", "zebra", "d"]),
    "type object": np.array([None] * 6, object),
}


@pytest.mark.parametrize("words", BAD_LABELS)
def test_unusable_labels_are_refused_in_one_sentence(words):
    with pytest.raises(BadInput, match=words):
        make(PICTURE, BAD_LABELS[words], classes=["a", "b", "c", "d"])


def test_one_class_only_is_refused_unless_its_set_is_known():
    with pytest.raises(BadInput, match="All labels are 3.*two classes"):
        make(PICTURE, np.full(6, 3))
    with pytest.raises(BadInput, match="two classes"):
        make(PICTURE, np.full(6, "cat"))
    assert make(PICTURE, np.full(6, 3), classes=list("abcd")).y.tolist() == [3] * 6


def test_labels_that_are_no_classes_are_refused():
    with pytest.raises(BadInput, match="label 123456"):
        make(PICTURE, np.array([0, 1, 2, 3, 4, 123456]))


def test_bad_split_and_ids_are_refused():
    with pytest.raises(BadInput, match="Sample 1 has the split 3"):
        make(PICTURE, np.arange(6), split=np.array([0, 3, 1, 2, 0, 0]))
    with pytest.raises(BadInput, match="Sample 0 has the split dev"):
        make(PICTURE, np.arange(6), split=np.array(["dev"] * 6))
    with pytest.raises(BadInput, match="occur twice"):
        make(PICTURE, np.arange(6), ids=np.zeros(6, int))


def test_what_is_no_source_is_said():
    for source in (3, None, []):
        with pytest.raises(BadInput, match="Data are given as"):
            load_samples(source)
    with pytest.raises(BadInput, match="no array named x"):
        load_samples({"weights": np.zeros(3)})
    with pytest.raises(BadInput, match="no file or folder"):
        load_samples("there/is/nothing.npz")


def test_folder_of_pictures_is_split_and_named(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(10):
            value = i * 10 + (100 if name == "dog" else 0)
            Image.new("L", (5, 4), value).save(tmp_path / "pets" / name / f"{i}.png")
    samples = load_samples(tmp_path / "pets")
    assert samples.classes == ("cat", "dog") and samples.name == "pets"
    assert samples.x[:, 0, 0, 0].tolist() == [*range(0, 100, 10), *range(100, 200, 10)]
    assert [len(samples.of(name)) for name in SPLITS] == [16, 2, 2]
    assert isinstance(samples, Samples) and samples.pictures


def test_classes_of_both_are_matched_by_name():
    x = np.arange(6 * 9, dtype=np.uint8).reshape(6, 1, 3, 3)
    samples = make(x, np.array(["dog", "ant", "dog", "cat", "ant", "cat"]))
    fitted = samples.fitted((1, 3, 3), ["cat", "dog", "bee", "ant"])
    assert [fitted.classes[code] for code in fitted.y] == ["dog", "ant", "dog", "cat", "ant", "cat"]
    assert "by their names" in fitted.notes[-1]
    digits = make(x, np.array(["3", "5", "3", "5", "3", "5"])).fitted((1, 3, 3), list("0123456"))
    assert digits.y.tolist() == [3, 5, 3, 5, 3, 5]
    other = samples.fitted((1, 3, 3), ["A", "B", "C"])
    assert np.array_equal(other.y, samples.y) and not other.notes


def test_some_of_known_classes_are_enough(tmp_path):
    for i in range(3):
        (tmp_path / "set" / "dog").mkdir(parents=True, exist_ok=True)
        Image.new("L", (5, 4), i).save(tmp_path / "set" / "dog" / f"{i}.png")
    with pytest.raises(BadInput, match="All labels are dog"):
        load_samples(tmp_path / "set")
    samples = load_samples(tmp_path / "set", classes=["ant", "bee", "dog"])
    assert samples.y.tolist() == [2, 2, 2] and samples.classes == ("ant", "bee", "dog")
