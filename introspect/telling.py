"""What the commands say to a person: each function turns an answer into lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

Answer = dict[str, Any]

_COMMAND = re.compile(
    r"introspect export --torchscript [^;()]+|introspect (?:export|app) [^\s;\"]+(?: [\w-]+\.\w+)?"
    r"|python -c \"[^\"]*\"|python -m [^;()]+|model\.export\([^)]*\)"
    r"|torch\.save\([\w.]+\(\), '[^']*'\)"
)


def find_command(sentence: str) -> str:
    """The command that a sentence advises to run on one's own machine; empty if there is none."""
    found = _COMMAND.search(sentence)
    return "" if found is None else found.group().strip().removesuffix(".")


def tell_doctor(answer: Answer) -> str:
    """The finding, as lines for a person."""
    lines = [": ".join(filter(None, (answer["format"] or "unknown format", answer["reason"])))]
    lines += answer["notes"]
    if answer["layers"]:
        lines.append(f"input {_shape(answer['input_shape'])}, {len(answer['classes'])} classes")
        lines += _columns(
            [
                "[x]" if layer["hidden"] else "[ ]",
                layer["name"],
                layer["op"],
                _shape(layer["shape"]),
                f"{layer['units']:,} units",
                f"{layer['bytes']:,} bytes a sample",
            ]
            for layer in answer["layers"]
        )
    if answer["architectures"]:
        lines.append("networks it was compared with:")
        lines += _columns(
            [one["name"], "fits" if one["fits"] else f"{one['share']:.0%}", one["misfit"]]
            for one in answer["architectures"]
        )
    for name, share in (answer["accuracy"] or {}).items():
        lines.append(f"{share:7.2%} right with inputs as: {name}")
    if answer["accuracy"]:
        best = answer["preprocessing"]
        sides = ["/".join(",".join(f"{v:.4g}" for v in best[side]) for side in ("mean", "std"))]
        sides += [word for word in ("swapped", "inverted") if best.get(word)]
        lines.append(f"best: {best['name']} (--preprocess {'/'.join(sides)})")
        lines += [answer["verdict"]] if answer["verdict"] != answer["reason"] else []
    lines += [f"missing: {what}" for what in answer["missing"]]
    return "\n".join(lines)


def _shape(sides: Sequence[int]) -> str:
    return " x ".join(str(side) for side in sides)


def _columns(rows: Iterable[list[str]]) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def tell_build(answer: Answer) -> str:
    """The measures of the new map, as lines for a person."""
    seconds = answer["seconds"]
    snapshots = answer.get("checkpoints", 0)
    followed = (f"{snapshots} snapshots of the training followed",) if snapshots else ()
    return "\n".join(
        (
            f"{answer['n']:,} samples, {answer['p']:,} units, {answer['k']} classes",
            f"accuracy on the test split      {answer['accuracy']:.2%}",
            f"same class among 15 neighbours  {answer['label_knn']:.2%}",
            f"trustworthiness of the map      {answer['trustworthiness']:.4f}",
            f"seconds: record {seconds['record']:.1f}, map {seconds['map']:.1f}, "
            f"estimator {seconds['estimator']:.1f}, on {answer['device']}",
            *followed,
        )
    )


def tell_locate(answer: Answer) -> str:
    """How many samples landed, and how many of them off the map."""
    return (
        f"{answer['n']:,} samples placed in {answer['seconds']:.2f} s, "
        f"{answer['off_map']:,} of them unlike anything recorded: {answer['out']}"
    )


def tell_attack(answer: Answer) -> str:
    """How far every walk got: when the target was reached and when the alarm sounded."""
    if "samples" in answer:
        return _tell_flow(answer)
    names, source = answer["classes"], answer["source"]
    lines = [f"taken for {names[source]} at the start; {answer['points'] - 1} steps made"]
    rows = [["target", "reached at", "alarm at", "moved by"]]
    for walk in answer["targets"]:
        own = " (its own class)" if walk["target"] == source else ""
        rows.append(
            [
                names[walk["target"]] + own,
                _step(walk["success_step"]),
                _step(walk["alarm_step"]),
                f"{walk['linf']:.3g}",
            ]
        )
    lines += _columns(rows)
    if answer["stalled"]:
        lines.append(
            f"{answer['stalled']} of {len(answer['targets'])} walks came to a stand: the network "
            "is so sure that its gradient is exactly 0; --loss logits goes on."
        )
    return "\n".join([*lines, *([answer["out"]] if answer["out"] else [])])


WIDE = 12
"""Most classes whose table fits into a terminal."""


def _tell_flow(answer: Answer) -> str:
    names, targets = answer["classes"], answer["targets"]
    lines = [
        f"{answer['arrived']:,} of {answer['walks']:,} walks of {answer['samples']:,} samples "
        f"reach their target; the alarm sounds no later in {answer['alarmed']:,} of them"
    ]
    if len(targets) <= WIDE:
        lines.append("share that arrives, by class at the start (rows) and target (columns):")
        rows = [["", *(names[target][:10] for target in targets)]]
        for source, line in enumerate(answer["success"]):
            if answer["sources"][source]:
                shares = ["-" if share is None else f"{share:.0%}" for share in line]
                rows.append([names[source][:10], *shares])
        lines += _columns(rows)
    if answer["stalled"]:
        lines.append(
            f"{answer['stalled']:,} walks came to a stand, because the gradient is exactly 0; "
            "--loss logits goes on."
        )
    lines += [f"gateway {i}: {one['told']}" for i, one in enumerate(answer["gateways"], 1)]
    return "\n".join([*lines, *([answer["out"]] if answer["out"] else [])])


def _step(number: int | None) -> str:
    if number is None:
        return "never"
    return f"step {number}" if number else "the start"


def tell_noise(answer: Answer) -> str:
    """How many noisy copies keep the class, and how far they go."""
    return (
        f"{answer['kept']:.1%} of the noisy copies keep the class; "
        f"mean shift on the map {answer['mean_shift']:.3f}"
    )


def tell_export(answer: Answer) -> str:
    """What was written, and that it says the same as the network itself."""
    return (
        f"{answer['out']}: {answer['operations']:,} operations, {answer['weights']:,} weights, "
        f"{answer['bytes'] / 1e6:.1f} MB, input {_shape(answer['input_shape'])}, "
        f"{answer['outputs']} outputs; read back, it differs by {answer['difference']:.1g} at most"
    )


def tell_report(answer: Answer) -> str:
    """The verdicts as lines for a person."""
    lines = []
    for name, claims in answer["claims"].items():
        lines.append(f"{claims[0]['data']}: {name}" if claims else name)
        for claim in claims:
            lines.append(f"  {claim['figure']:<8} {claim['verdict']:<23} {claim['claim']}")
            lines.append(f"           paper: {claim['paper']}; ours: {claim['ours']}")
    return "\n".join([*lines, f"{answer['out']}/index.html, {answer['seconds']:.0f} s"])
