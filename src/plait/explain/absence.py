"""What "without a modality" means: the baseline that every Shapley value depends on, declared with every result.

``missing`` hands the model a missing modality and lets it do what it does then. ``marginal`` gives it the values of
other rows and averages the answers. ``value`` gives it a constant. They answer different questions, so an
explanation always names the one it used.
"""

from __future__ import annotations

import numpy as np

from plait.explain.subject import Subject
from plait.registry import unknown_name

MEANINGS = {
    "missing": "an absent modality is handed to the model as missing, and the model's own treatment of it counts",
    "marginal": (
        "absent modalities are taken from another row, all from the same one, and the outputs are averaged over "
        "{draws} such rows"
    ),
    "value": "an absent modality is replaced by a given constant",
}


def meaning(name: str, draws: int, has_prior: bool) -> str:
    """What a baseline does, in words."""
    said = MEANINGS[name].format(draws=draws)
    return f"{said}; where nothing is left, the training prior answers" if name == "missing" and has_prior else said


def check_absence(name: str, draws: int, num_rows: int) -> None:
    """Refuse a baseline that does not exist or cannot be used.

    Raises:
        ValueError: No such baseline, fewer than one draw, or "marginal" with a single row.
    """
    if name not in MEANINGS:
        raise ValueError(unknown_name("absence", name, list(MEANINGS)))
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected at least 1")
    if name == "marginal" and num_rows < 2:
        raise ValueError("absence 'marginal' takes values from other rows, and there is only one row; use 'missing'")


def subset_scores(subject: Subject, subset: int, absence: str, donors_DN: np.ndarray) -> np.ndarray:
    """Scores ``[N, C]`` of all rows with only the modalities of a subset.

    Args:
        subject: The model and its rows.
        subset: Bits of the modalities that are there.
        absence: A name in ``MEANINGS``.
        donors_DN: For "marginal": the row that stands in for each row, per draw.

    The full subset is answered as it is, whatever absence means: nothing is absent.
    """
    num_rows, num_modalities = subject.present_NM.shape
    own = np.arange(num_rows, dtype=np.int64)
    kept = np.array([bool(subset >> m & 1) for m in range(num_modalities)])
    if absence != "marginal" or kept.all():
        return subject.ask(np.where(kept[None, :], own[:, None], -1))
    total = np.zeros(0)
    for donor_N in donors_DN:
        # A row that never had the modality does not get one from a donor: its own absence is its value.
        stays_NM = kept[None, :] | ~subject.present_NM
        outputs = subject.measure.activate(subject.ask(np.where(stays_NM, own[:, None], donor_N[:, None])))
        total = outputs if total.size == 0 else total + outputs
    return subject.measure.scores(total / len(donors_DN))


def draw_donors(num_rows: int, draws: int, seed: int) -> np.ndarray:
    """Another row for every row, ``[draws, N]``; each row serves once per draw, and never itself."""
    if num_rows < 2:
        return np.zeros((draws, num_rows), dtype=np.int64)
    rng = np.random.default_rng(seed)
    order = rng.permutation(num_rows)
    shifts = np.concatenate([rng.permutation(num_rows - 1) + 1 for _ in range(-(-draws // (num_rows - 1)))])[:draws]
    donors = np.empty((draws, num_rows), dtype=np.int64)
    for d, shift in enumerate(shifts):
        donors[d, order] = np.roll(order, int(shift))
    return donors
