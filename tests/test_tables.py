"""Tables: what becomes a number, what a label, and which cell is at fault."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.errors import BadInput
from introspect.recipe import Recipe
from introspect.samples import Samples, load_samples

ROWS = [
    (5.1, "red", "setosa"), (4.9, "blue", "virginica"), (6.2, "red", "setosa"),
    (5.5, "green", "virginica"), (5.0, "blue", "setosa"), (6.1, "red", "virginica"),
]  # fmt: skip


def csv(rows, head="length,colour,species", by=",") -> str:
    return "\n".join([head.replace(",", by), *(by.join(map(str, row)) for row in rows)]) + "\n"


@pytest.fixture
def flowers(tmp_path):
    file = tmp_path / "flowers.csv"
    file.write_text(csv(ROWS))
    return file


def test_numbers_stay_categories_are_coded_and_texts_of_the_label_are_classes(flowers) -> None:
    found = load_samples(flowers)
    assert found.classes == ("setosa", "virginica") and found.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.x[:, 0].tolist() == pytest.approx([row[0] for row in ROWS])
    assert found.x[:, 1].tolist() == [2, 0, 2, 1, 0, 2]
    assert any("colour: blue = 0, green = 1, red = 2" in note for note in found.notes)
    assert any("from the column species" in note for note in found.notes)


def test_label_is_chosen_by_name_of_its_column(tmp_path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(csv(ROWS, "length,grade,species"))
    assert load_samples(file, recipe=Recipe(label="grade")).classes == ("blue", "green", "red")
    with pytest.raises(BadInput, match="no column shade: it has length, grade, species"):
        load_samples(file, recipe=Recipe(label="shade"))


def test_missing_values_are_refused_with_row_and_column(tmp_path) -> None:
    for at, (row, cell) in enumerate([(2, ""), (3, "NA"), (1, "nan"), (5, "?")]):
        rows = [list(r) for r in ROWS]
        rows[row][0] = cell
        (tmp_path / f"{at}.csv").write_text(csv(rows))
        with pytest.raises(BadInput, match=rf"Row {row + 1} of {at}\.csv has no value in .*length"):
            load_samples(tmp_path / f"{at}.csv")
    rows = [list(r) for r in ROWS]
    rows[4][2] = "null"
    (tmp_path / "label.csv").write_text(csv(rows))
    with pytest.raises(BadInput, match="Row 5 of .* in the column species"):
        load_samples(tmp_path / "label.csv")


def test_column_left_out_may_have_gaps(tmp_path) -> None:
    rows = [list(r) for r in ROWS]
    rows[1][1] = ""
    (tmp_path / "a.csv").write_text(csv(rows))
    found = load_samples(tmp_path / "a.csv", recipe=Recipe("species", columns=("length",)))
    assert found.x.shape == (6, 1)


def test_new_rows_are_read_with_the_codes_of_the_first_table(flowers, tmp_path) -> None:
    """Their own texts would give green another number."""
    recipe = load_samples(flowers).recipe
    again = Recipe.parse(recipe.document())
    assert again == recipe and again.columns == ("length", "colour")
    new = tmp_path / "new.csv"
    new.write_text("colour,more,length\ngreen,7,5.5\nred,8,6.5\n")
    found = load_samples(new, recipe=again, classes=("setosa", "virginica"))
    assert found.x.tolist() == [[5.5, 1], [6.5, 2]] and found.y.tolist() == [-1, -1]
    new.write_text("colour,length\nviolet,5\n")
    with pytest.raises(BadInput, match="Row 1 of new.csv has 'violet' .* knows blue, green, red"):
        load_samples(new, recipe=again)
    new.write_text("colour,width\nred,5\n")
    with pytest.raises(BadInput, match="no column length: it has colour, width"):
        load_samples(new, recipe=again)


def test_semicolons_decimal_commas_tabs_and_files_without_header_are_read(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("a;b;class\n1,5;2;x\n2,5;3;y\n")
    assert load_samples(tmp_path / "a.csv").x.tolist() == [[1.5, 2], [2.5, 3]]
    (tmp_path / "b.tsv").write_text("a\tclass\n1\tx\n2\ty\n")
    assert load_samples(tmp_path / "b.tsv").x.tolist() == [[1], [2]]
    (tmp_path / "c.csv").write_text("0.5,1.25,0\n" * 9 + "0.5,1.75,1\n" * 9)
    found = load_samples(tmp_path / "c.csv")
    assert found.x.shape == (18, 2) and found.y.tolist() == [0] * 9 + [1] * 9


def test_marks_of_byte_order_and_quoted_line_breaks_are_no_trouble(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfa,class\r\n1,"x\r\ny"\r\n2,z\r\n')
    found = load_samples(tmp_path / "a.csv")
    assert found.recipe.columns == ("a",) and len(found) == 2
    assert all(name.isprintable() for name in found.classes)


def test_column_that_names_rows_is_left_out_and_said(tmp_path) -> None:
    rows = [(i, f"person {i}", i % 7, "ab"[i % 2]) for i in range(300)]
    (tmp_path / "a.csv").write_text(csv(rows, "id,name,age,class"))
    found = load_samples(tmp_path / "a.csv")
    assert found.recipe.columns == ("age",)
    assert any("id, name" in note for note in found.notes)


def test_rows_of_another_length_are_named(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("a,b,class\n1,2,x\n1,2\n")
    with pytest.raises(BadInput, match=r"Row 2 of a\.csv has 2 cells but the first line has 3"):
        load_samples(tmp_path / "a.csv")


def test_column_that_turns_to_text_late_keeps_what_stood_before(tmp_path) -> None:
    cells = [str(i % 3) for i in range(9000)] + ["many"]
    (tmp_path / "a.csv").write_text(csv([(c, i % 2) for i, c in enumerate(cells)], "k,class"))
    found = load_samples(tmp_path / "a.csv")
    assert dict(found.recipe.codes)["k"] == ("0", "1", "2", "many")
    assert found.x[[0, 1, 2, 9000], 0].tolist() == [0, 1, 2, 3]


def test_parquet_and_csv_of_the_same_table_are_the_same_samples(flowers, tmp_path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = dict(zip(("length", "colour", "species"), zip(*ROWS, strict=True), strict=True))
    table = pa.table({**columns, "colour": pa.array(columns["colour"]).dictionary_encode()})
    parquet.write_table(table, tmp_path / "flowers.parquet")
    one, two = load_samples(flowers), load_samples(tmp_path / "flowers.parquet")
    assert one.fingerprint == two.fingerprint and one.classes == two.classes
    assert one.recipe == two.recipe
    holes = pa.table({"a": [1.0, None, 3.0], "label": ["x", "y", "x"]})
    parquet.write_table(holes, tmp_path / "holes.parquet")
    with pytest.raises(BadInput, match=r"Row 2 of holes\.parquet has no value in the column a"):
        load_samples(tmp_path / "holes.parquet")


def test_table_of_grey_values_is_read_as_pictures_are(tmp_path) -> None:
    """As Kaggle gives MNIST: label first, then 784 columns."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 64)), np.arange(20) % 4
    head = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    np.savetxt(tmp_path / "a.csv", np.column_stack([y, x]), "%d", ",", header=head, comments="")
    found = load_samples(tmp_path / "a.csv")
    assert found.x.dtype == np.uint8 and np.array_equal(found.x, x)
    assert found.y.tolist() == y.tolist()


def test_table_builds_an_atlas_that_reads_new_rows_alike(tmp_path) -> None:
    """From CSV to map and back: the recipe is in the atlas, and a located row lands on its dot."""
    import pyarrow.parquet as parquet
    import torch

    import introspect
    from introspect.locating import write_positions

    rng = np.random.default_rng(0)
    names = np.array(["ash", "oak", "elm"])
    code = rng.integers(0, 3, 300)
    size = rng.normal(size=300).round(6)
    kind = np.where(size + (code == 1) > 0.5, "tall", "low")
    rows = list(zip(size, names[code], kind, strict=True))
    (tmp_path / "trees.csv").write_text(csv(rows, "size,tree,class"))
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2), torch.nn.Softmax(1)
    )
    samples: Samples = load_samples(tmp_path / "trees.csv")
    atlas = introspect.build(net, samples, preset="fast", epochs=1)
    intake = atlas.settings["data"]["intake"]
    assert intake["codes"] == {"tree": ["ash", "elm", "oak"]}
    assert intake["order"][0] == "columns read: size, tree"
    atlas.save(tmp_path / "trees.atlas")
    few = [row[:2] for row in rows[:5]]  # neither all categories nor labels
    (tmp_path / "few.csv").write_text(csv(few, "size,tree"))
    write_positions(tmp_path / "trees.atlas", tmp_path / "few.csv", tmp_path / "out.parquet")
    z = parquet.read_table(tmp_path / "out.parquet")
    assert np.allclose(z["x"].to_numpy(), atlas.points.z[:5, 0], atol=1e-4)
