"""Is it really multimodal? Everything that is measured of a subject, put together, with one plain sentence.

Exact Shapley values and interaction indices over all subsets of modalities, on the primary metric and on the loss;
EMAP; perceptual score; and the same for single rows. Nothing is sampled except where the result says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.explain.absence import check_absence, draw_donors, meaning, subset_scores
from plait.explain.game import measured_game
from plait.explain.nothing import told_nothing, with_prior
from plait.explain.projection import emap, perceptual
from plait.explain.rows import row_values, telling_rows, told_row
from plait.explain.subject import Subject
from plait.metrics.modality_verdict import beats_guessing, modality_verdict
from plait.registry import counted

LOSS_NOTE = (
    "games on loss are played for the negative loss: above zero helps; they begin at the loss of the training prior "
    "(class shares, or the mean), not at that of even odds"
)
EQUAL = 1e-9  # outputs this close are the same answer: a mean of equal numbers need not be equal to the last bit


def explain_subject(
    subject: Subject,
    *,
    absence: str = "missing",
    draws: int = 8,
    examples: int | Sequence[int] = 8,
    permutations: int = 20,
    emap_evaluations: int = 100_000,
    resamples: int | None = None,
    column: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Explain; see :func:`plait.explain.explain_modalities` for the arguments and the result.

    ``column`` is the class or label that single rows are explained for; None: the answer of each.
    """
    started = time.monotonic()
    check_absence(absence, draws, len(subject))
    positions = _positions(examples, len(subject))
    donors_DN = draw_donors(len(subject), draws, seed)
    count = 1 << len(subject.names)
    scores: list[np.ndarray] = []
    for s in range(count):
        scores.append(subset_scores(subject, s, absence, donors_DN))
        if progress is not None:
            progress(s + 1, count, "subsets of modalities")
    measure, full_NC = subject.measure, scores[-1]
    if absence == "marginal":  # the other subsets are averages of outputs: all go the same way from outputs to scores
        scores[-1] = measure.scores(measure.activate(full_NC))
    idle, own_NC = unused(subject, scores), scores[0]
    if absence == "missing":
        scores = with_prior(subject, scores, idle)
    game = measured_game(subject, scores, resamples=resamples, seed=seed, progress=progress)
    projection = emap(
        subject, full_NC, budget=emap_evaluations, resamples=game["resamples"], seed=seed, progress=progress
    )
    shuffled = perceptual(subject, full_NC, permutations=permutations, seed=seed, progress=progress)
    values = row_values(subject, scores, column)
    if positions is None:
        chosen = telling_rows(subject, values, int(examples) if isinstance(examples, int) else 0)
    else:
        chosen = [(p, "asked for") for p in positions]
    result: dict[str, Any] = {
        "metric": {
            "name": measure.metric, "higher_is_better": True, "in_points": measure.in_points,
            **{k: v for k, v in (("unit", measure.unit), ("meaning", measure.meaning)) if v is not None},
        },
        "loss": {"name": measure.loss, "note": LOSS_NOTE},
        "absence": {"name": absence, "meaning": meaning(absence, draws, subject.prior is not None)},
        "modalities": list(subject.names),
        "rows": len(subject),
        "chance": measure.chance(subject.target),
        **game,
        "empty": told_nothing(subject, own_NC, scores[0]),
        "unused": idle,
        "emap": projection,
        **({} if subject.without_projection is None else {"emap_not_applicable": subject.without_projection}),
        "perceptual": shuffled,
        "examples": [told_row(subject, values, p, why) for p, why in chosen],
        "cost": {
            "rows_asked": subject.asked, "calls": subject.calls, "seconds": round(time.monotonic() - started, 2),
            "note": f"{counted(count, 'subset')} of {counted(len(subject), 'row')}; "
            "the rest are recombined rows for EMAP and shuffling",
        },
    }  # fmt: skip
    if not beats_guessing(result):  # a share of nothing is noise, however it divides
        for entry in (e for kind in result["shapley"].values() for e in kind.values()):
            entry["share"] = None
    return {"verdict": modality_verdict(result), "beats_guessing": beats_guessing(result), **result}


def unused(subject: Subject, scores: list[np.ndarray]) -> list[str]:
    """Modalities that are there but whose presence never changes an answer, in any subset of the others."""
    outputs = [subject.measure.activate(s) for s in scores]
    dead = []
    for m, name in enumerate(subject.names):
        pairs = [(outputs[s], outputs[s | 1 << m]) for s in range(len(outputs)) if not s >> m & 1]
        if subject.present_NM[:, m].any() and all(np.allclose(a, b, rtol=EQUAL, atol=EQUAL) for a, b in pairs):
            dead.append(name)
    return dead


def _positions(examples: int | Sequence[int], num_rows: int) -> list[int] | None:
    if isinstance(examples, int):
        if examples < 0:
            raise ValueError(f"examples is {examples}; expected how many rows to show, or a list of row numbers")
        return None
    positions = [int(p) for p in examples]
    for p in positions:
        if not 0 <= p < num_rows:
            raise ValueError(f"there is no row {p}; the rows explained are numbered 0 to {num_rows - 1}")
    return positions
