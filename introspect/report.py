"""The report: what was reproduced, as a folder with one page, its figures and the table as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from introspect.bundled import sample_atlases
from introspect.reproduce import NOT_RUN, NOTHING, TWINS, Claim, Report, Reproduction, reproduce
from introspect.store import write_file, writing

HEADS = ("Data", "Figure", "Claim", "Paper", "Ours", "How it was run", "Verdict")
DATA = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 "Source Sans 3", Helvetica, Arial, sans-serif; color: #1c2530;
       max-width: 1280px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; }
tr > * { border-bottom: 1px solid #dbe1e8; }
th { font-weight: 600; white-space: nowrap; } td:last-child { white-space: nowrap; }
.held { color: #14663b; } .not { color: #a3161b; font-weight: 600; } .quiet { color: #5b6672; }
figure { margin: 2rem 0; } figcaption { font-weight: 600; }
"""


def write_report(
    out: Path,
    names: Sequence[str] = (),
    quick: bool = True,
    report: Report | None = None,
) -> dict[str, Any]:
    """Reproduces every atlas and writes `index.html`, `plotly.min.js` and `report.json`.

    Args:
        out: the folder; files of these names in it are replaced.
        names: atlases by name or path; the bundled ones, twins apart, when left out.

    Returns:
        `out`, `seconds`, and `claims`, a list of rows by name of the atlas; every row names the
        data set that it is from.

    Raises:
        BadInput: an atlas is not there or cannot be used, or the folder cannot be written.
    """
    from plotly.offline import get_plotlyjs

    from introspect.atlas import Atlas

    chosen = list(names) or [name for name in sample_atlases() if name not in TWINS.values()]
    found = []
    for name in chosen:
        tell = None if report is None else _within(name, report)
        found.append(reproduce(Atlas.load(name), quick, tell))
    claims = {
        one.name: [
            {"data": _data(one), **asdict(claim), "verdict": claim.verdict} for claim in one.claims
        ]
        for one in found
    }
    answer = {
        "out": str(out),
        "seconds": round(sum(one.seconds for one in found), 1),
        "stages": {one.name: one.seconds_by for one in found},
        "claims": claims,
    }
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        write_file(out / "plotly.min.js", get_plotlyjs().encode())
        write_file(out / "report.json", json.dumps(answer, indent=1, ensure_ascii=False).encode())
        write_file(out / "index.html", _page(found).encode())
    return answer


def _within(name: str, report: Report) -> Report:
    return lambda stage, done, total: report(f"{name}: {stage}", done, total)


def _page(found: Sequence[Reproduction]) -> str:
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    rows = "".join(_row(one, claim) for one in found for claim in one.claims)
    said = [claim.verdict for one in found for claim in one.claims]
    left = said.count(NOT_RUN)
    sum_up = (
        f"Of {len(said) - left} claims {said.count('held')} held, {said.count('did not hold')} did "
        f"not, and for {said.count(NOTHING)} there is {NOTHING}."
        + (f" {left} {'was' if left == 1 else 'were'} not run." if left else "")
    )
    ran = "; ".join(f"{_data(one)} ({one.name}): {one.seconds:.0f} s" for one in found)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Coloring the Black Box, reproduced</title><style>{STYLE}</style>"
        '<script src="plotly.min.js"></script></head><body>'
        "<h1>Coloring the Black Box, reproduced</h1>"
        "<p>Claims of Pardo et al. (2020), the paper's numbers, and what Introspect measured when "
        "this page was written. Where the paper proposes and measures nothing, the last but one "
        "column says what ours is held to.</p>"
        f"<p>{sum_up}</p><p class='quiet'>{html.escape(ran)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"{''.join(_figures(one) for one in found)}</body></html>"
    )


def _row(one: Reproduction, claim: Claim) -> str:
    texts = (_data(one), claim.figure, claim.claim, claim.paper, claim.ours, claim.how)
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    kind = {True: "held", False: "not", None: "quiet"}[claim.held]
    return f'<tr>{cells}<td class="{kind}">{claim.verdict}</td></tr>'


def _figures(one: Reproduction) -> str:
    figures = "".join(
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        + figure.to_html(full_html=False, include_plotlyjs=False)
        + "</figure>"
        for title, figure in one.figures.items()
    )
    return f"<h2>{html.escape(f'{_data(one)}: {one.name}')}</h2>{figures}"


def _data(one: Reproduction) -> str:
    return DATA.get(one.data, one.data)
