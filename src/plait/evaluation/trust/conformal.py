"""Whether sets and intervals hold on evaluated rows: share covered and size, of all rows and pattern by pattern."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.base import EvaluationInputs
from plait.metrics.intervals import bootstrap_interval
from plait.metrics.trust.conformal import fewest_rows
from plait.metrics.trust.mondrian import FEWEST
from plait.tasks import Calibration

LEVELS = (0.8, 0.9, 0.95)
RESAMPLES = 200
EXCHANGEABLE = (
    "The promise holds for rows that come as the calibration rows did, in any order; of a row of a new group where "
    "rows come in groups. Rows of another source or a later time, or with other things missing, may be covered less."
)
IN_TIME = (
    "Rows are split by time: calibration rows are the last before the test rows. The promise rests on the time after "
    "them being like the time just before; drift breaks it, so calibrate again on fresh rows."
)


def conformal_part(given: EvaluationInputs, outputs: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Coverage and size at three levels.

    Args:
        given: The evaluated rows.
        outputs: What the model answers them [N, C].
        seed: Of the intervals.
    """
    rows = given.calibration
    if rows is None or len(rows) == 0:
        why = "the model has no calibration rows; plait.calibrate(MODEL, TABLE) with rows it has not seen gives it some"
        return {"applicable": False, "why": why}
    present_NM = given.prepared.rows.present_NM[given.positions].astype(bool)
    rests = IN_TIME if rows.facts.get("by_time") else EXCHANGEABLE
    found: dict[str, Any] = {
        "applicable": True, "kind": rows.kind, "rows": rows.facts.get("rows"), "scoring_rows": len(rows),
        "patterns": rows.pattern_facts(), "rests_on": rests, "fewest": FEWEST, "levels": [],
    }  # fmt: skip
    for level in LEVELS:
        for method in rows.methods:
            found["levels"].append(_measured(given, rows, outputs, present_NM, level, method, seed))
    lacking = [level for level in LEVELS if len(rows) < fewest_rows(level)]
    if lacking:
        found["note"] = (
            f"{len(rows)} calibration rows are too few for {', '.join(f'{v:g}' for v in lacking)}: sets hold "
            "everything there, intervals are infinite"
        )
    return found


def _measured(
    given: EvaluationInputs, rows: Calibration, outputs: np.ndarray, present_NM: np.ndarray, level: float,
    method: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    if rows.kind == "number":
        low_N, high_N, promised_N = rows.intervals(outputs, present_NM, level, method)
        truth_N = given.target.reshape(-1)
        covered_N, size_N = (low_N <= truth_N) & (truth_N <= high_N), high_N - low_N
    else:
        inside_NC, promised_N = rows.sets(outputs, present_NM, level, method)
        size_N = inside_NC.sum(1).astype(np.float64)
        if given.target.ndim == 2:
            covered_N = (inside_NC | (given.target < 0.5)).all(1) & ~given.unknown_N
        else:
            covered_N = inside_NC[np.arange(len(inside_NC)), np.maximum(given.target, 0)] & (given.target >= 0)
    told = _share(covered_N, size_N, promised_N, given.group, seed)
    names = [" + ".join(n for n, there in zip(rows.names, p, strict=True) if there) or "nothing" for p in present_NM]
    parts = []
    for name in dict.fromkeys(names):
        own = np.array([n == name for n in names])
        group = None if given.group is None else given.group[own]
        parts.append({"present": name, **_share(covered_N[own], size_N[own], promised_N[own], group, seed)})
    return {"coverage": level, "method": method, **told, "patterns": parts if len(parts) > 1 else []}


def _share(
    covered_N: np.ndarray, size_N: np.ndarray, promised_N: np.ndarray, group: np.ndarray | None, seed: int
) -> dict[str, Any]:
    """Of the rows with a promise: how many there are, the share covered with its interval, the mean size."""
    kept = np.flatnonzero(promised_N)
    left = {"rows": len(kept), "without_promise": int((~promised_N).sum())}
    if not len(kept):
        return {**left, "covered": {"value": None, "low": None, "high": None}, "size": None}
    share_N = covered_N[kept].astype(np.float64)
    low, high = bootstrap_interval(
        share_N, len(kept), groups=None if group is None else group[kept], resamples=RESAMPLES, seed=seed
    )
    return {
        **left, "covered": {"value": float(share_N.mean()), "low": low, "high": high},
        "size": float(size_N[kept].mean()), "size_median": float(np.median(size_N[kept])),
    }  # fmt: skip
