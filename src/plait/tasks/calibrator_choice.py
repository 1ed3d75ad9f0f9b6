"""Which calibrator serves a model: fitted on some calibration rows, judged by the proper loss on others.

Temperature is kept where the loss of rows that did not fit it falls. What bends more (vector scaling, isotonic
regression) is kept in its place only where the loss falls further by more than one standard error of the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.tasks.calibrators import CALIBRATORS, Calibrator, Temperature, proper_loss

FOLDS = 5
FEWEST_ROWS = 20  # of all, below which no calibrator is tried
ROWS_A_CLASS = 20  # that vector scaling asks for
ISOTONIC_ROWS = 200


@dataclass(frozen=True)
class CalibratorChoice:
    """What was chosen.

    Attributes:
        calibrator: Fitted on all rows; None: the model is left as it is.
        losses: Mean loss of each that was tried on rows that did not fit it, "none" among them; empty: none was tried.
        why: In words.
    """

    calibrator: Calibrator | None
    losses: dict[str, float]
    why: str


def choose_calibrator(
    logits_NC: np.ndarray, target: np.ndarray, group_N: np.ndarray, *, keeps_order: bool, seed: int = 0
) -> CalibratorChoice:
    """Try what these rows allow.

    Args:
        logits_NC: Logits of calibration rows.
        target: Class numbers [N], none below 0, or truth of each label [N, C].
        group_N: Rows of one group fit or judge together.
        keeps_order: Whether decisions were tuned and must stay: only temperature is tried then, as for label sets.
        seed: Of the folds.
    """
    units, unit_N = np.unique(group_N, return_inverse=True)
    if len(units) < FEWEST_ROWS:
        return CalibratorChoice(
            None,
            {},
            f"{len(units)} calibration rows of known classes are too few to fit on (at least {FEWEST_ROWS})",
        )
    fold_N = (np.random.default_rng([seed, len(units)]).permutation(len(units)) % FOLDS)[unit_N]
    names = _allowed(logits_NC, target, len(units), keeps_order, fold_N)
    losses = {"none": proper_loss(logits_NC, target)}
    for name in names:
        losses[name] = np.zeros(len(logits_NC))
        for k in range(FOLDS):
            held = fold_N == k
            made = CALIBRATORS.get(name).fit(logits_NC[~held], target[~held])
            losses[name][held] = proper_loss(made.logits(logits_NC[held]), target[held])
    best = "none"
    for name in names:
        gain_N = losses[best] - losses[name]
        error = 0.0 if name == "temperature" else float(_unit_means(gain_N, unit_N).std(ddof=1) / np.sqrt(len(units)))
        if gain_N.mean() > error:
            best = name
    means = {name: float(loss.mean()) for name, loss in losses.items()}
    chosen = None if best == "none" else CALIBRATORS.get(best).fit(logits_NC, target)
    return CalibratorChoice(chosen, means, _why(best, chosen, means))


def _allowed(
    logits_NC: np.ndarray, target: np.ndarray, num_units: int, keeps_order: bool, fold_N: np.ndarray
) -> list[str]:
    names = ["temperature"]
    if keeps_order or target.ndim == 2:
        return names
    width = logits_NC.shape[1]
    everywhere = all(len(np.unique(target[fold_N != k])) == width for k in range(FOLDS))
    if num_units >= ROWS_A_CLASS * width and everywhere:
        names.append("vector")
    if width == 2 and num_units >= ISOTONIC_ROWS and everywhere:
        names.append("isotonic")
    return names


def _unit_means(values_N: np.ndarray, unit_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.bincount(unit_N, values_N) / np.bincount(unit_N))


def _why(best: str, chosen: Calibrator | None, losses: dict[str, float]) -> str:
    if chosen is None:
        return f"no calibrator lowers the log loss of rows that did not fit it ({losses['none']:.4f})"
    what = f"temperature {chosen.temperature:.3f}" if isinstance(chosen, Temperature) else best
    bound = "; it lies at its bound, so these rows are too few or all alike to tell it"
    return (
        f"{what}: log loss of calibration rows that did not fit it goes from {losses['none']:.4f} to {losses[best]:.4f}"
        f"{bound if isinstance(chosen, Temperature) and chosen.is_at_bound else ''}"
    )
