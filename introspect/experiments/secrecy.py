"""The "private key": is an attack noticed by one who watches the activations? (section 4)

By an attacker who does not know the introspector, and by one who does and hides from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from introspect.answers import doubts
from introspect.atlas import Atlas
from introspect.attacks.base import AbstractAttack
from introspect.attacks.evasive import Evasive
from introspect.attacks.pgd import Pgd
from introspect.experiments.base import Claim, Effort, Found, Tell
from introspect.flow import TOGETHER, choose_rows
from introspect.points import OFF_THE_MAP
from introspect.ranking import Estimate, Ladder, measure, resample
from introspect.trajectory import Witness, first_true

STEPS = 40
SCORES = {"error_map": "ê(z)", "error": "ê(h)", "distance": "distance from the map", "msp": "MSP"}


@dataclass(frozen=True, eq=False)
class Caught:
    """Scores of doubt of the same m samples, as they are or at the end of an attack.

    `fooled` says whose answer is the attacker's target; `alarm` whose ê(h) or strangeness is above
    its shipped threshold.
    """

    scores: dict[str, Float64[np.ndarray, " m"]]
    fooled: Bool[np.ndarray, " m"]
    alarm: Bool[np.ndarray, " m"]


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """Both attackers with the same ball, steps and targets, and what each detector makes of them.

    Detectors are judged on the samples that both attackers fool: equal ε, equal success.
    """
    rows = choose_rows(atlas, effort.secret)
    k = len(atlas.classes)
    random = np.random.default_rng(0)
    target = (atlas.points.predicted[rows] + random.integers(1, k, len(rows))) % k
    low, high = atlas.classifier.bounds
    shape = atlas.classifier.input_shape
    # The usual balls: .3 for digits in grey, 8/255 for small photographs (Madry et al. 2018).
    size = (8 / 255 if len(shape) == 3 and shape[0] == 3 else 0.3) * (high - low)
    loss = "squared" if atlas.classifier.link == "probabilities" else "logits"
    unknowing = Pgd(STEPS, size / 20, size, random_start=False, loss=loss)
    knowing = Evasive(STEPS, size / 20, size, loss=loss)
    clean = look(atlas, rows, target)
    if tell is not None:
        tell("Private key: who lacks it", 0, 2)
    subtle, bold = (look(atlas, rows, target, unknowing, at) for at in ("first", "end"))
    if tell is not None:
        tell("Private key: who has it", 1, 2)
    hidden = look(atlas, rows, target, knowing)
    both = subtle.fooled & bold.fooled & hidden.fooled
    success = f"attacks succeed on {bold.fooled.mean():.0%} without and {hidden.fooled.mean():.0%}"
    success += " with knowledge of the introspector"
    how = (
        f"{len(rows)} right test samples, one other class each, ε = {size:.3g}, {STEPS} steps; "
        f"detectors on the {int(both.sum())} samples that both attackers fool, against the same "
        f"samples before; the shipped alarms sound for {clean.alarm[both].mean():.0%} of those"
        if both.any()
        else f"{len(rows)} right test samples, one other class each, ε = {size:.3g}, {STEPS} steps"
    )
    if both.sum() < 5:
        told = f"{success}: too few to judge the detectors"
        return Found([Claim("§4", CLAIM, "proposed, not measured", told, how, None)])
    area = {
        name: {score: detect(clean, one, both, score) for score in SCORES}
        for name, one in {"subtle": subtle, "bold": bold, "hidden": hidden}.items()
    }
    best = max(WATCHED, key=lambda score: area["bold"][score].value)
    seen, left = area["bold"][best], area["hidden"][best]
    return Found(
        [
            Claim(
                "§4",
                f"{CLAIM}: as soon as the answer changes",
                "proposed, not measured",
                f"AUROC {_areas(area['subtle'])}; alarms for {subtle.alarm[both].mean():.0%}",
                f"{how}; PGD; held: ê(z) or the distance reaches .9",
                _noticed(area["subtle"]),
            ),
            Claim(
                "§4",
                f"{CLAIM}: carried on to the end of the walk",
                "proposed, not measured",
                f"{success}. AUROC {_areas(area['bold'])}; alarms for "
                f"{bold.alarm[both].mean():.0%}",
                f"{how}; PGD; held: ê(z) or the distance reaches .9",
                _noticed(area["bold"]),
            ),
            Claim(
                "§4",
                "the introspector is a private key: it notices while the attacker lacks it",
                "proposed, not measured",
                f"AUROC against who has it: {_areas(area['hidden'])}; alarms for "
                f"{hidden.alarm[both].mean():.0%}. {_verdict(best, seen, left)}",
                f"{how}; the attack evasive also lowers ê(z), ê(h) and the error of rebuilding; "
                "held: noticed without the key, and by at least .1 less with it",
                _noticed(area["bold"]) and seen.value - left.value >= 0.1,
            ),
        ]
    )


CLAIM = "activations far from known ones give away an attack that fools the network"
WATCHED = ("error_map", "distance")
"""The two that the paper names: the estimated error, and being far from known activations."""


def _noticed(area: dict[str, Estimate]) -> bool:
    return max(area[score].value for score in WATCHED) >= 0.9


def look(
    atlas: Atlas,
    rows: np.ndarray,
    target: np.ndarray,
    attack: AbstractAttack | None = None,
    at: str = "end",
) -> Caught:
    """The scores of samples as they are, or at one point of an attack.

    Args:
        at: "end" of the walk, or "first", the first point that fools the network (the end where
            none does).
    """
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(rows), TOGETHER):
        mine = slice(start, start + TOGETHER)
        x = atlas.inputs(rows[mine]).to(atlas.engine.device)
        if attack is not None:
            aim = torch.from_numpy(target[mine]).to(x.device)
            with Witness(atlas.engine, len(x), attack.steps + 1, None) as witness:
                path = attack.path(witness, x, aim).detach()
            answer = witness.answer(path)["outputs"].argmax(2)
            step = first_true(answer == target[mine, None])
            step = np.where((step < 0) | (at == "end"), attack.steps, step)
            x = path[torch.from_numpy(step).to(x.device), torch.arange(len(x), device=x.device)]
        parts.append(_scores(atlas, x))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    alarm = (found["error"] > atlas.thresholds["log_error"]) | (found["off_map"] > OFF_THE_MAP)
    return Caught({name: found[name] for name in SCORES}, found["predicted"] == target, alarm)


@torch.inference_mode()
def _scores(atlas: Atlas, x: torch.Tensor) -> dict[str, np.ndarray]:
    engine = atlas.engine
    z, logits, error, error_map, off_map = engine.read(x)
    h, _ = engine.tap(x)
    outputs = engine.classifier.link_outputs(logits).cpu().numpy()
    return {
        "error_map": error_map.cpu().double().numpy(),
        "error": error.cpu().double().numpy(),
        "distance": engine.strangeness.distance(h, z).cpu().double().numpy(),
        "msp": doubts(outputs, engine.classifier.link)["msp"],
        "off_map": off_map.cpu().numpy(),
        "predicted": outputs.argmax(1),
    }


def detect(clean: Caught, attacked: Caught, rows: Bool[np.ndarray, " m"], score: str) -> Estimate:
    """AUROC with which a score tells attacked samples from the same ones before."""
    values = np.r_[clean.scores[score][rows], attacked.scores[score][rows]]
    ladder = Ladder.of(values, np.repeat([False, True], int(rows.sum())))
    drawn = resample({score: ladder}, 1000)[score]["auroc"]
    return Estimate.of(float(measure(ladder.whole)["auroc"][0]), drawn)


def _areas(found: dict[str, Estimate]) -> str:
    return ", ".join(
        f"{SCORES[score]} {one.value:.3f} ({one.low:.2f} to {one.high:.2f})"
        for score, one in found.items()
    )


def _verdict(best: str, seen: Estimate, left: Estimate) -> str:
    fall = f"{SCORES[best]} falls from {seen.value:.3f} to {left.value:.3f}"
    if seen.value < 0.9:
        return f"Not noticed reliably even by whom the attacker does not know; {fall}."
    if left.value >= 0.9:
        return "The attack is noticed even so: no key is needed."
    return f"Who knows the introspector hides from it: {fall}."
