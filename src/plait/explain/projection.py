"""EMAP and perceptual score of a subject: how much rests on interaction, and on each modality being the right one."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.explain.scale import SCALES
from plait.explain.subject import Subject
from plait.metrics.emap import emap_scores
from plait.metrics.intervals import metric_intervals
from plait.metrics.perceptual import perceptual_score, shuffled_rows
from plait.registry import counted

MAX_EMAP_ROWS = 500
MIN_BLOCK = 16
EQUAL = 1e-9


def emap(
    subject: Subject, full_NC: np.ndarray, *, budget: int, resamples: int, seed: int, progress: Progress | None = None
) -> dict[str, Any] | None:
    """EMAP: metric of the additive projection, on the model's own scale, and what is lost to it.

    Args:
        subject: The model and its rows.
        full_NC: Scores of the true rows.
        budget: Evaluations at most, about.
        resamples: Bootstrap draws.
        seed: Seed of the subsample, the blocks, the partners and the draws.
        progress: Called with (done, total, what).

    Returns:
        ``full`` and ``projected`` metric and the ``gap`` with intervals, on the same rows; ``residual``, the share of
        the variation of the scores on these rows that the sum misses (0: the model is additive; it may pass 1, as the
        sum is fitted to recombined rows); the counts and the ``method`` in words. None with one modality or one row,
        with no budget, or where the scores have no additive projection.
    """
    num_modalities = len(subject.names)
    if num_modalities < 2 or len(subject) < 2 or budget <= 0 or subject.without_projection is not None:
        return None
    rng = np.random.default_rng(seed)
    chosen = np.arange(len(subject))
    most = max(2, min(MAX_EMAP_ROWS, budget // (MIN_BLOCK * (num_modalities if num_modalities > 2 else 1))))
    if len(chosen) > most:
        chosen = np.sort(rng.permutation(len(chosen))[:most])
    n = len(chosen)
    per_row = budget // n // (num_modalities if num_modalities > 2 else 1)
    num_blocks = -(-n // int(np.clip(per_row, 2, n)))
    block = -(-n // num_blocks)
    rounds = 1 if num_modalities == 2 else max(1, per_row // block)
    before, scale = subject.asked, SCALES[subject.additive_scale]
    projected = emap_scores(
        lambda rows: scale.of_scores(subject.ask(chosen[rows])), n, num_modalities, block=max(2, block),
        rounds=rounds, seed=seed,
        progress=None if progress is None else lambda done, total: progress(done, total, "additive projection"),
    )  # fmt: skip
    measure, full, target = subject.measure, full_NC[chosen], subject.target[chosen]
    outputs, outputs_projected = measure.activate(full), measure.activate(scale.to_scores(projected))

    def metrics(rows: np.ndarray) -> dict[str, float | None]:
        a = measure.metric_of(target[rows], outputs[rows])
        b = measure.metric_of(target[rows], outputs_projected[rows])
        return {"full": a, "projected": b, "gap": None if a is None or b is None else a - b}

    groups = None if subject.groups is None else subject.groups[chosen]
    found = metric_intervals(
        metrics, n, groups=groups, resamples=min(resamples, 300), seed=seed,
        shares=("full", "projected") if measure.is_share else (),
    )  # fmt: skip
    summed = scale.of_scores(full)
    if scale.is_relative:
        summed, projected = measure.centred(summed), measure.centred(projected)
    variation = float(((summed - summed.mean(axis=0)) ** 2).sum())
    residual = float(((summed - projected) ** 2).sum())
    return {
        **found, "residual": residual / variation if variation > EQUAL else 0.0,
        "rows": n, "block": block, "rounds": rounds,
        "evaluations": subject.asked - before, "method": _method(num_modalities, n, block, rounds, subject),
    }  # fmt: skip


def _method(num_modalities: int, n: int, block: int, rounds: int, subject: Subject) -> str:
    rows = f"{n} of {len(subject)} rows" if n < len(subject) else f"all {counted(n, 'row')}"
    summed = SCALES[subject.additive_scale].words or subject.scale
    where = "" if block >= n else f" within random blocks of {block}"
    if num_modalities == 2:
        return f"Hessel and Lee 2020 on {summed}: {rows}, all pairs{where}"
    return (
        f"projection of {summed} onto a sum of one function per modality (Hessel and Lee 2020, for "
        f"{num_modalities} modalities): sum of E[f | modality] less {num_modalities - 1} E[f], every mean over the "
        f"same {rounds * block} recombined partners{where}; {rows}"
    )


def perceptual(
    subject: Subject, full_NC: np.ndarray, *, permutations: int, seed: int, progress: Progress | None = None
) -> dict[str, Any] | None:
    """Perceptual score of every modality.

    Args:
        subject: The model and its rows.
        full_NC: Scores of the true rows.
        permutations: Shufflings per modality.
        seed: Seed of the shufflings.
        progress: Called with (done, total, what).

    Returns:
        ``modalities`` (name to ``perceptual_score``) and ``normaliser``; None with fewer than two rows, no
        permutations, or where the metric is undefined for the true rows or for shuffled ones (a correlation is, where
        all answers are the same).
    """
    measure, num_rows = subject.measure, len(subject)
    full = measure.metric_of(subject.target, measure.activate(full_NC))
    if full is None or num_rows < 2 or permutations < 1:
        return None
    rng = np.random.default_rng(seed)
    own = np.tile(np.arange(num_rows, dtype=np.int64)[:, None], (1, len(subject.names)))
    found = {}
    for m, name in enumerate(subject.names):
        drawn = []
        for p in range(permutations):
            rows = own.copy()
            rows[:, m] = shuffled_rows(subject.present_NM[:, m], rng)
            value = measure.metric_of(subject.target, measure.activate(subject.ask(rows)))
            if value is None:
                return None
            drawn.append(value)
            if progress is not None:
                progress(m * permutations + p + 1, len(subject.names) * permutations, "shuffling modalities")
        found[name] = perceptual_score(full, drawn)
    return {"modalities": found, "normaliser": f"the {measure.metric} of the model itself", "full": full}
