"""What calibration rows taught of a finished model: its calibrator, and the scores its sets and intervals rest on.

A third of the rows (whole groups) tunes: the calibrator, and the residual curves of a number. The other two thirds give
the scores, one row a group, so that nothing is used twice and the promise is that of split conformal prediction. Scores
are kept by pattern of what is there, so any coverage can be asked for later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.metrics.trust.conformal import (
    aps_scores,
    conformal_quantile,
    lac_scores,
    prediction_sets,
    quantile_interval_scores,
    raps_scores,
)
from plait.metrics.trust.mondrian import FEWEST, pooled_groups
from plait.registry import unknown_name
from plait.tasks.calibration_checks import check_values
from plait.tasks.calibrators import Calibrator, calibrator_from_json
from plait.tasks.residual_curves import ResidualCurves

SET_METHODS = ("lac", "aps", "raps", "class")
INTERVAL_METHODS = ("quantile", "split")
SCORES = {"lac": lac_scores, "aps": aps_scores, "raps": raps_scores, "class": lac_scores}


@dataclass(frozen=True)
class Calibration:
    """See the module.

    Attributes:
        kind: Output kind of the task: "classes", "labels" or "number".
        names: Modalities in model order.
        patterns: Which of them are there, one tuple a pattern.
        pattern_N: Pattern number of each row that scores.
        class_N: True class of each such row, -1 where the model does not have it; zeros where there are no classes.
        scores: Of "classes" and "labels" scores of the truth by method; of "number" "residual" and "predicted".
        calibrator: None: probabilities stay as they are.
        curves: Of a number with rows enough: what its errors are like.
        thresholds: Thresholds of decisions before the calibrator moved them.
        facts: What is told: rows, groups, losses, source.
    """

    kind: str
    names: tuple[str, ...]
    patterns: tuple[tuple[bool, ...], ...]
    pattern_N: np.ndarray  # noqa: N815  shape letters
    class_N: np.ndarray  # noqa: N815
    scores: dict[str, np.ndarray]
    calibrator: Calibrator | None = None
    curves: ResidualCurves | None = None
    thresholds: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pattern_N)

    @property
    def methods(self) -> tuple[str, ...]:
        """How sets or intervals can be made, the one that is taken unless another is named first."""
        if self.kind == "classes":
            return SET_METHODS
        if self.kind == "labels":
            return ("lac",)
        return INTERVAL_METHODS if self.curves is not None else ("split",)

    def method_named(self, method: str | None) -> str:
        """The method, or the first one.

        Raises:
            ValueError: It cannot be had of this model.
        """
        if method is None:
            return self.methods[0]
        if method not in self.methods:
            raise ValueError(unknown_name("method", method, list(self.methods), where="method="))
        return method

    def rows_for(self, pattern: Sequence[bool]) -> np.ndarray | None:
        """Positions of the scores that speak for rows with this pattern; None where no calibration row has it."""
        place = {p: n for n, p in enumerate(self.patterns)}.get(tuple(map(bool, pattern)))
        return None if place is None else pooled_groups(self.pattern_N.tolist()).get(place)

    def limits(self, present_NM: np.ndarray, coverage: float, scores: np.ndarray) -> np.ndarray:
        """The largest score that is believed of each row [N]; NaN where its pattern was never calibrated."""
        unique, place_N = np.unique(present_NM.astype(bool), axis=0, return_inverse=True)
        found = []
        for pattern in unique:
            rows = self.rows_for(pattern.tolist())
            found.append(np.nan if rows is None else conformal_quantile(scores[rows], coverage))
        return np.array(found)[place_N.reshape(-1)]

    def sets(
        self, proba_NC: np.ndarray, present_NM: np.ndarray, coverage: float, method: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which classes or labels are believed, bool [N, C], and which rows have a promise, bool [N].

        Args:
            proba_NC: Calibrated probabilities.
            present_NM: What is there of each row.
            coverage: Wished probability that the set holds the class, or all labels of the row.
            method: Of :attr:`methods`.
        """
        method = self.method_named(method)
        given_NC = SCORES[method](proba_NC)
        if method == "class":
            limit_C = np.array([
                conformal_quantile(self.scores["lac"][self.class_N == c], coverage) for c in range(proba_NC.shape[1])
            ])  # fmt: skip
            known_N = ~np.isnan(self.limits(present_NM, coverage, self.scores["lac"]))
            return prediction_sets(given_NC, limit_C[None]) & known_N[:, None], known_N
        limit_N = self.limits(present_NM, coverage, self.scores[method])
        return prediction_sets(given_NC, limit_N), ~np.isnan(limit_N)  # nothing is at most NaN

    def intervals(
        self, predicted_N: np.ndarray, present_NM: np.ndarray, coverage: float, method: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Low and high end of each row [N], infinite where rows are too few; and which rows have a promise [N]."""
        method = self.method_named(method)
        predicted_N = np.asarray(predicted_N, dtype=np.float64).reshape(-1)
        low_N = high_N = predicted_N
        own = np.abs(self.scores["residual"])
        if method == "quantile":
            assert self.curves is not None
            at = self.scores["predicted"]
            own = quantile_interval_scores(*self.curves.interval(at, coverage), at + self.scores["residual"])
            low_N, high_N = self.curves.interval(predicted_N, coverage)
        limit_N = self.limits(present_NM, coverage, own)
        low_N, high_N = low_N - limit_N, high_N + limit_N
        turned = low_N > high_N  # a negative limit may turn a narrow interval around
        low_N[turned] = high_N[turned] = (low_N[turned] + high_N[turned]) / 2
        return low_N, high_N, ~np.isnan(limit_N)

    def expected_errors(self, predicted_N: np.ndarray) -> np.ndarray:
        """Of a number with residual curves: the absolute error expected of each prediction, in its unit [N]."""
        assert self.curves is not None
        return self.curves.error(np.asarray(predicted_N, dtype=np.float64).reshape(-1))

    def pattern_facts(self) -> list[dict[str, Any]]:
        """Of each pattern: what is there, its calibration rows, and how many speak for it, pooled ones with them."""
        pooled = pooled_groups(self.pattern_N.tolist())
        return [
            {
                "present": [n for n, there in zip(self.names, p, strict=True) if there],
                "rows": int((self.pattern_N == k).sum()), "pooled": len(pooled[k]),
                "is_own": int((self.pattern_N == k).sum()) >= FEWEST,
            }
            for k, p in enumerate(self.patterns)
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As plain values; an infinite score is None."""
        return {
            "kind": self.kind, "names": list(self.names), "patterns": [list(p) for p in self.patterns],
            "pattern": self.pattern_N.tolist(), "class": self.class_N.tolist(),
            "scores": {k: [float(v) if np.isfinite(v) else None for v in s] for k, s in self.scores.items()},
            "calibrator": None if self.calibrator is None else self.calibrator.to_json(),
            "curves": None if self.curves is None else self.curves.to_json(),
            "thresholds": list(self.thresholds), "facts": self.facts,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Calibration:
        """From plain values.

        Raises:
            ValueError: A value that no calibration writes.
        """
        check_values(values)
        pattern_N = np.asarray(values["pattern"], dtype=np.int64)
        scores = {
            k: np.array([np.inf if v is None else v for v in s], dtype=np.float64) for k, s in values["scores"].items()
        }
        class_N = np.asarray(values["class"], dtype=np.int64)
        patterns = tuple(tuple(map(bool, p)) for p in values["patterns"])
        curves = values["curves"]
        return cls(
            values["kind"], tuple(values["names"]), patterns, pattern_N, class_N, scores,
            calibrator_from_json(values["calibrator"]), None if curves is None else ResidualCurves.from_json(curves),
            tuple(map(float, values["thresholds"])), values["facts"],
        )  # fmt: skip
