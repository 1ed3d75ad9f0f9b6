"""Single rows: how much each modality moves the answer to one row, exactly and with nothing left over."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from plait.explain.subject import Subject
from plait.metrics.shapley import interaction_indices, shapley_values


def row_values(subject: Subject, scores_SNC: list[np.ndarray], column: int | None = None) -> dict[str, Any]:
    """Shapley values of what is explained of every row.

    That is the probability of the class predicted with all modalities (for labels: of the most probable label), or
    the predicted number.

    Args:
        subject: The model and its rows.
        scores_SNC: Scores of every subset, in bit order.
        column: Class or label to explain of every row in place of that; None: each row's own.

    Returns:
        ``column_N`` (which output), ``game_SN``, ``shapley_MN`` and ``interaction_MMN``. For each row the Shapley
        values add up to the answer with everything less that with nothing.
    """
    outputs = [subject.measure.activate(scores) for scores in scores_SNC]
    column_N = subject.measure.decide(outputs[-1]) if column is None else np.full(len(outputs[-1]), column)
    game_SN = np.stack([o[np.arange(len(o)), column_N] for o in outputs])
    return {
        "column_N": column_N, "game_SN": game_SN, "shapley_MN": shapley_values(game_SN),
        "interaction_MMN": interaction_indices(game_SN),
    }  # fmt: skip


def telling_rows(subject: Subject, values: dict[str, Any], count: int) -> list[tuple[int, str]]:
    """Rows worth looking at, with the reason: each modality's strongest, then the strongest interactions."""
    phi_MN, pairs_MMN = np.abs(values["shapley_MN"]), np.abs(values["interaction_MMN"]).sum(axis=(0, 1)) / 2
    chosen: dict[int, str] = {}
    if len(subject.names) > 1:
        lead_MN = phi_MN - (phi_MN.sum(axis=0, keepdims=True) - phi_MN)
        for m, name in enumerate(subject.names):
            for i in np.argsort(-lead_MN[m], kind="stable"):
                leads = phi_MN[m, i] > np.delete(phi_MN[:, i], m).max()
                if len(chosen) < count and int(i) not in chosen and leads:
                    chosen[int(i)] = f"{name} counts most"
                    break
        for i in np.argsort(-pairs_MMN, kind="stable"):
            if len(chosen) < count and int(i) not in chosen and pairs_MMN[i] > 0:
                chosen[int(i)] = "strongest interaction"
    for i in np.argsort(-phi_MN.sum(axis=0), kind="stable"):
        if len(chosen) < count and int(i) not in chosen:
            chosen[int(i)] = "moved most"
    return list(chosen.items())


def told_row(subject: Subject, values: dict[str, Any], position: int, why: str) -> dict[str, Any]:
    """One row as plain values."""
    column, game = int(values["column_N"][position]), values["game_SN"][:, position]
    what = f"probability of {subject.classes[column]}" if subject.classes else subject.measure.explained
    phi, pairs = values["shapley_MN"][:, position], values["interaction_MMN"][:, :, position]
    return {
        "position": position, "why": why, "explained": what, "with nothing": float(game[0]),
        "with everything": float(game[-1]),
        "shapley": {name: float(v) for name, v in zip(subject.names, phi, strict=True)},
        "interaction": [
            {"pair": [subject.names[a], subject.names[b]], "value": float(pairs[a, b])}
            for a, b in combinations(range(len(subject.names)), 2)
        ],
        "present": [n for n, there in zip(subject.names, subject.present_NM[position], strict=True) if there],
    }  # fmt: skip
