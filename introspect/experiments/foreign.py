"""Inputs unlike the training data: are they noticed? (sections 2.3 and 4)"""

from __future__ import annotations

from introspect.atlas import Atlas
from introspect.experiments.base import Claim, Effort, Found, Tell
from introspect.plots import strangers as figure
from introspect.strangers import Company, compare, place, residents, sets


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """One row a set of strangers: share flagged at the shipped threshold, AUROC beside MSP's."""
    known = residents(atlas, max(effort.strangers, 1000))
    met: dict[str, Company] = {}
    claims = [
        Claim(
            "§4",
            "known inputs are left alone",
            "not measured",
            f"{known.share:.1%} of the test samples are flagged",
            f"{len(known):,} test samples; strangeness above 99 % of the validation samples; "
            "held: below 5 %",
            known.share < 0.05,
        )
    ]
    ways = sets(atlas)
    for number, (title, fetch) in enumerate(ways.items()):
        if tell is not None:
            tell(f"Strangers: {title}", number, len(ways))
        found = met[title] = place(atlas, fetch(effort.strangers), title)
        notice = compare(known, found)
        claims.append(
            Claim(
                "§2.3, §4",
                f"inputs unlike the training data are noticed: {title}",
                "proposed, not measured",
                notice.tell(),
                f"{len(found):,} inputs against {len(known):,} test samples; held: more than half "
                "flagged",
                notice.flagged > 0.5,
            )
        )
    title = "How far from anything recorded: test samples and strangers"
    return Found(claims, {title: figure.draw(atlas, known, list(met.values()))})
