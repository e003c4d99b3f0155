"""What holds for the repository as a whole: names, sizes, imports, versions, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import introspect
from introspect.cli import make_parser

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("introspect", "pages", "tests", "benchmarks", "docs", "sample_models")
TEXT = {".py", ".js", ".css", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".svg", ".html", ""}
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")


def python_files(*folders: str) -> list[Path]:
    """Every Python file under the folders, and the two at the root."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [*found, ROOT / "app.py", ROOT / "hatch_build.py"]


def text_files() -> Iterator[Path]:
    """Every file that a person wrote."""
    roots = [ROOT / folder for folder in (*FOLDERS, "assets", ".ci", ".streamlit")]
    for path in [*ROOT.iterdir(), *(path for root in roots for path in root.rglob("*"))]:
        if path.is_file() and path.suffix in TEXT and ".atlas" not in str(path.parent):
            yield path


def imported(path: Path) -> set[str]:
    """Top-level packages a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def called(path: Path) -> set[str]:
    """Names of the plain functions a file calls."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


# ---------------------------------------------------------------- the package
@pytest.mark.parametrize("name", introspect.__all__)
def test_public_name_comes_from_the_module_that_defines_it(name: str) -> None:
    value = getattr(introspect, name)
    assert value.__module__ == f"introspect.{introspect._HOME[name]}"
    assert value.__doc__


def test_public_names_are_told_to_readers_type_checkers_and_completion() -> None:
    tree = ast.parse((ROOT / "introspect/__init__.py").read_text("utf-8"))
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("introspect.")
        for alias in node.names
    }
    assert told == {name: f"introspect.{home}" for name, home in introspect._HOME.items()}
    assert introspect.__all__ == sorted(introspect._HOME)
    assert set(introspect.__all__) <= set(dir(introspect))


def test_unknown_name_is_an_attribute_error_with_the_name_in_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'atlass'"):
        introspect.atlass  # noqa: B018


@pytest.mark.parametrize("module", ["introspect", "introspect.cli", "introspect.store"])
def test_import_of_light_modules_loads_nothing_heavy(module: str) -> None:
    heavy = "torch streamlit plotly pandas sklearn umap pyarrow numba".split()
    code = f"import sys, {module}; print(*[name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


# ---------------------------------------------------------------- files
def test_no_python_file_has_more_than_400_lines() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in python_files(*FOLDERS)}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 400} == {}


def test_no_file_names_a_folder_of_one_machine_or_a_registry() -> None:
    places = "|".join(("/" + "work/", "/" + "root/", "/" + r"Users/\w", "/" + r"home/\w"))
    hosts = "|".join(
        ("pypi" + r"\.org", "pythonhosted" + r"\.", "deb" + r"\.debian", "npmjs" + r"\.")
    )
    pattern = re.compile(f"{places}|{hosts}")
    found = [
        str(path.relative_to(ROOT))
        for path in text_files()
        if pattern.search(path.read_text("utf-8"))
    ]
    assert found == []


def test_library_neither_prints_nor_leaves_work_undone() -> None:
    speak = ("cli.py", "terminal.py")
    loud = [p for p in python_files("introspect") if "print" in called(p) and p.name not in speak]
    assert loud == []
    marker = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|raise Not" + "Implemented")
    assert [path for path in text_files() if marker.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("name", ["mnist-net1", "mnist-net1-noise"])
def test_bundled_sample_stays_under_30_megabytes(name: str) -> None:
    folder = ROOT / "sample_models" / name
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert 1e6 < sum(sizes) < 30e6


def test_data_of_every_sample_model_carry_their_licence() -> None:
    models = [path for path in (ROOT / "sample_models").iterdir() if path.is_dir()]
    bundles = [path for path in models if any(path.glob("*.atlas"))]
    assert [path.name for path in bundles if not (path / "DATA_LICENSE").is_file()] == []
    assert "DATA_LICENSE" in (ROOT / "NOTICE").read_text("utf-8")


# ---------------------------------------------------------------- pages and figures
def test_pages_choose_call_and_draw_but_compute_nothing() -> None:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for page in sorted((ROOT / "pages").glob("*.py")):
        assert imported(page) <= {"__future__", "streamlit", "introspect"}, page.name
        nodes = list(ast.walk(ast.parse(page.read_text("utf-8"))))
        assert not [node for node in nodes if isinstance(node, defined)], page.name


def test_pages_are_numbered_without_gaps_and_have_a_test() -> None:
    names = [path.stem for path in (ROOT / "pages").glob("*.py")]
    assert all(re.fullmatch(r"\d+_[a-z_]+", name) for name in names)
    numbers = [int(name.split("_")[0]) for name in names]
    assert len(set(numbers)) == len(numbers)
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in names if name.split("_", 1)[1] not in tests] == []


def test_every_figure_has_a_page_or_stands_in_the_report() -> None:
    pages = {path.stem.split("_", 1)[1] for path in (ROOT / "pages").glob("*.py")}
    users = [
        path
        for name in ("ui", "experiments")
        for path in (ROOT / f"introspect/{name}").glob("*.py")
    ]
    trees = [ast.parse(path.read_text("utf-8")) for path in users]
    nodes = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    shown = {a.name for n in nodes if n.module == "introspect.plots" for a in n.names} | pages
    shown |= {str(n.module).removeprefix("introspect.plots.") for n in nodes}
    drawn = re.compile(r"^def draw\(", re.MULTILINE)
    plots = (ROOT / "introspect/plots").glob("*.py")
    assert {path.stem for path in plots if drawn.search(path.read_text("utf-8"))} <= shown


def test_only_app_pages_and_ui_import_streamlit() -> None:
    users = {path for path in python_files("introspect", "pages") if "streamlit" in imported(path)}
    ui = ROOT / "introspect/ui"
    strangers = [p for p in users if ui not in p.parents and p.parent != ROOT / "pages"]
    assert strangers == [ROOT / "app.py"]


# ---------------------------------------------------------------- versions
def test_version_is_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## \[([\d.]+)\]", changelog, re.MULTILINE)
    assert newest is not None and newest.group(1) == introspect.__version__
    assert metadata.version("introspect") == introspect.__version__


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins.values())
    assert pins["torch"] == "2.13.0"
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    wanted += PROJECT["build-system"]["requires"]
    known = {name.lower().replace("_", "-") for name in pins}
    assert {re.split(r"[^\w-]", one)[0].lower() for one in wanted} <= known


# ---------------------------------------------------------------- documents
def code(document: str) -> list[str]:
    """The commands a document shows: lines of its code blocks, and its code spans."""
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", text
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_a_document_shows_exist(document: str) -> None:
    make = (ROOT / "Makefile").read_text("utf-8")
    commands = make_parser().format_help()
    for line in code(document):
        words = line.removeprefix("$ ").split()
        if words[:1] == ["make"] and len(words) > 1:
            assert re.search(rf"^{words[1]}:", make, re.MULTILINE), line
        if words[:1] == ["introspect"] and len(words) > 1 and words[1].isalpha():
            assert re.search(rf"^    {words[1]}\b", commands, re.MULTILINE), line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_a_document_links_to_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)\)|src(?:set)?=\"([^\"]+)\"", text)
    for link in ("".join(pair) for pair in links):
        if "://" not in link:
            assert ((ROOT / document).parent / link).exists(), link


def test_figures_in_the_documents_are_those_that_were_measured() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import figures
    finally:
        sys.path.remove(str(ROOT / "docs"))
    tables = {"README.md": figures.map_table(), "benchmarks/README.md": figures.bench_table()}
    for name, table in tables.items():
        assert f"{figures.BEGIN}\n{table}\n{figures.END}" in (ROOT / name).read_text("utf-8"), (
            f"{name} is out of date: make figures"
        )


def test_contributing_stays_under_60_lines_and_tells_how_to_add_a_method() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert len(text.splitlines()) < 60
    assert "## Add a method" in text
