"""The game of the modalities: the metric and the loss of every subset, and what follows from them, with intervals.

Each bootstrap draw of rows yields the whole game and all that follows from it (Shapley values, interaction indices,
what a modality adds), so the intervals of differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from plait.explain.subject import Subject
from plait.metrics.intervals import metric_intervals
from plait.metrics.shapley import interaction_indices, shapley_values

Interval = dict[str, float | None]
KINDS = ("metric", "loss")
MAX_WORK = 40_000_000


def measured_game(
    subject: Subject,
    scores_SNC: list[np.ndarray],
    *,
    resamples: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure the game.

    Args:
        subject: The model and its rows.
        scores_SNC: Scores of every subset, in bit order.
        resamples: Bootstrap draws; None chooses 100 to 1,000 by the size of the game.
        seed: Seed of the draws.
        progress: Called with (done, total, what).

    Returns:
        ``subsets``, ``shapley``, ``interaction`` and ``gains`` (see ``modality.explain_subject``). The game on loss
        is played for the negative loss, so above zero always helps.
    """
    measure = subject.measure
    outputs = [measure.activate(scores) for scores in scores_SNC]
    losses_NS = np.stack([measure.loss_per_row(subject.target, scores) for scores in scores_SNC], axis=1)
    metric_of_rows = _metric_game(subject, outputs)
    work = len(subject) * len(scores_SNC) * (4 if measure.metric_per_row is not None else 40 * outputs[0].shape[1])
    draws = resamples or int(np.clip(MAX_WORK / work, 100, 1000))

    played = 0

    def everything(rows: np.ndarray) -> dict[str, float | None]:
        nonlocal played
        played += 1
        if progress is not None:
            progress(min(played, draws), draws, "intervals")
        found: dict[str, float | None] = {}
        for kind, game in (("metric", metric_of_rows(rows)), ("loss", -losses_NS[rows].mean(axis=0))):
            derived = _derived(game)
            found |= {f"{kind} {key}": value for key, value in derived.items()}
        return found

    shares = [f"metric v{s}" for s in range(len(scores_SNC))] if measure.is_share else []
    measured = metric_intervals(
        everything, len(subject), groups=subject.groups, resamples=draws, seed=seed, shares=shares
    )
    return _told(subject, measured, draws)


def _metric_game(subject: Subject, outputs: list[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Row positions to the metric of every subset ``[2^M]``, NaN where undefined."""
    measure = subject.measure
    if measure.metric_per_row is not None:
        hits_NS = np.stack([measure.metric_per_row(subject.target, o) for o in outputs], axis=1)
        return lambda rows: hits_NS[rows].mean(axis=0)

    def by_rows(rows: np.ndarray) -> np.ndarray:
        target = subject.target[rows]
        first = measure.metric_of if subject.prior is None else measure.metric_of_guess  # of what stands for nothing
        values = [(first if s == 0 else measure.metric_of)(target, o[rows]) for s, o in enumerate(outputs)]
        return np.array([np.nan if v is None else v for v in values])

    return by_rows


def _derived(game: np.ndarray) -> dict[str, float | None]:
    """Everything that follows from the values of all subsets ``[2^M]``; None where a subset has none."""
    num_modalities = len(game).bit_length() - 1
    full = len(game) - 1
    found = {f"v{s}": value for s, value in enumerate(game)}
    found["total"] = game[full] - game[0]
    for m in range(num_modalities):
        found[f"over{m}"] = game[full] - game[1 << m]
        found[f"last{m}"] = game[full] - game[full ^ (1 << m)]
    pairs = list(combinations(range(num_modalities), 2))
    whole = bool(np.isfinite(game).all())
    phi = shapley_values(game) if whole else np.full(num_modalities, np.nan)
    index = interaction_indices(game) if whole else np.full((num_modalities, num_modalities), np.nan)
    found |= {f"phi{m}": phi[m] for m in range(num_modalities)}
    found |= {f"pair{a},{b}": index[a, b] for a, b in pairs}
    return {key: float(value) if np.isfinite(value) else None for key, value in found.items()}


def _told(subject: Subject, measured: dict[str, Interval], draws: int) -> dict[str, Any]:
    names = subject.names
    subsets = []
    for s in range(1 << len(names)):
        loss = measured[f"loss v{s}"]
        subsets.append(
            {
                "name": subject.subset_name(s), "modalities": subject.members(s), "metric": measured[f"metric v{s}"],
                "loss": {"value": _minus(loss["value"]), "low": _minus(loss["high"]), "high": _minus(loss["low"])},
            }
        )  # fmt: skip
    shapley: dict[str, Any] = {}
    interaction: dict[str, Any] = {}
    gains: dict[str, Any] = {}
    for kind in KINDS:
        values = [measured[f"{kind} phi{m}"] for m in range(len(names))]
        sizes = [None if v["value"] is None else abs(v["value"]) for v in values]
        whole = None if None in sizes else sum(s for s in sizes if s is not None)
        shapley[kind] = {
            name: {**value, "share": None if not whole or size is None else size / whole}
            for name, value, size in zip(names, values, sizes, strict=True)
        }
        interaction[kind] = [
            {"pair": [names[a], names[b]], **measured[f"{kind} pair{a},{b}"]}
            for a, b in combinations(range(len(names)), 2)
        ]
        gains[kind] = {
            "all over nothing": measured[f"{kind} total"],
            "all over one alone": {n: measured[f"{kind} over{m}"] for m, n in enumerate(names)},
            "added to the others": {n: measured[f"{kind} last{m}"] for m, n in enumerate(names)},
        }
    return {
        "subsets": subsets, "shapley": shapley, "interaction": interaction, "gains": gains, "resamples": draws,
    }  # fmt: skip


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value
