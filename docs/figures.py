"""Writes the measured figures into README.md and benchmarks/README.md: `make figures`.

They come from the bundled atlas's own settings and from benchmarks/results/*.json, which
`make bench` writes; nothing is typed in by hand.
"""

from __future__ import annotations

import json
import operator
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures: make figures -->", "<!-- /figures -->"
MEETS = {">=": operator.ge, "<=": operator.le}


def map_table() -> str:
    """What was measured when the bundled atlas was built, on its test split."""
    atlas = ROOT / "sample_models/mnist-net1/mnist-net1.atlas"
    version = (atlas / "CURRENT").read_text("utf-8").strip()
    found = json.loads((atlas / version / "settings.json").read_text("utf-8"))
    mean = ", ".join(f"{value:.3f}" for value in found["z_mean"])
    std = ", ".join(f"{value:.2f}" for value in found["z_std"])
    auroc = found["auroc"]
    rows = (
        ("right answers of the network (the paper's: 96.57 %)", f"{found['accuracy']:.2%}"),
        ("same class among the 15 nearest on the map", f"{found['label_knn']:.2%}"),
        ("trustworthiness of the map", f"{found['trustworthiness']:.4f}"),
        ("mean and deviation of z", f"{mean} and {std}"),
        ("MMD² of z from N(0, I), unbiased", f"{found['mmd2']:.5f}"),
        ("wrong above right answers, ê(z), decades in the median", f"{found['gap']:.2f}"),
        ("AUROC of errors by ê(z), by ê(h)", _pair(auroc["log_error_map"], auroc["log_error"])),
    )
    return "\n".join(("| on 10,000 test digits | |", "| --- | --- |", *map(_row, rows)))


def results() -> list[dict[str, Any]]:
    """What `make bench` has found, by name."""
    files = sorted((ROOT / "benchmarks/results").glob("*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def bench_table() -> str:
    """Every ratio beside its goal, with the command and the commit."""
    if not results():
        return "Nothing measured yet: `make bench`."
    rows = [
        "| command | what | measured | goal | | commit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for found in results():
        for what, value in found["ratios"].items():
            goal = found["goals"][what]
            met = "met" if MEETS[goal["op"]](value, goal["value"]) else "missed"
            command, commit = f"`introspect bench {found['name']}`", found["machine"]["commit"]
            wanted = f"{goal['op']} {goal['value']:g}"
            rows.append(
                _row((command, what.replace("_", " "), f"{value:.3g}", wanted, met, commit))
            )
    machines = {
        f"{m['processor']}, {m['cores']} cores, {m['accelerator'] or 'no GPU'}, torch {m['torch']}"
        for m in (found["machine"] for found in results())
    }
    return "\n".join([*rows, "", "Measured on: " + "; ".join(sorted(machines)) + "."])


def _pair(first: float, second: float) -> str:
    return f"{first:.3f}, {second:.3f}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def written(document: str, text: str) -> str:
    """The document with its block of figures replaced."""
    block = f"{BEGIN}\n{text}\n{END}"
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: block, document)


def main() -> None:
    """Brings both documents up to date."""
    tables = {"README.md": map_table(), "benchmarks/README.md": bench_table()}
    for name, table in tables.items():
        file = ROOT / name
        file.write_text(written(file.read_text("utf-8"), table), "utf-8")


if __name__ == "__main__":
    main()
