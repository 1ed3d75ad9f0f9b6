"""What a prediction adds where a coverage or a limit of risk is asked for: sets, intervals, and answers withheld."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.rows import Rows
from plait.metrics.trust.conformal import fewest_rows
from plait.registry import counted
from plait.tasks import Calibration
from plait.tasks.calibration import INTERVAL_METHODS, SET_METHODS
from plait.tasks.risk import answer_risks
from plait.training.fitted import FittedParts
from plait.training.seen_rows import SeenInputs

METHODS = (*SET_METHODS, *INTERVAL_METHODS)
TEACH = (
    "give it some with plait.calibrate(MODEL, TABLE), on labelled rows that it has not seen, or fit again with "
    "calibration=0.1"
)


@dataclass(frozen=True)
class Believed:
    """What is asked for.

    Attributes:
        coverage: Probability that a set or interval holds the truth, or None.
        method: How sets or intervals are made; None: the model's first method.
        abstain_above: Largest estimated risk of a row that is answered, or None.
    """

    coverage: float | None = None
    method: str | None = None
    abstain_above: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anything is."""
        return self.coverage is not None or self.abstain_above is not None

    def check(self, fitted: FittedParts) -> None:
        """Refuse what this model cannot give, before a row is read; warn of rows that are too few.

        Raises:
            ValueError: The message says what to type.
        """
        if self.method is not None and self.coverage is None:
            raise ValueError("method= says how sets or intervals are made; type coverage=0.9 too, or leave it out")
        if not self.is_asked:
            return
        if self.coverage is not None and not (_is_number(self.coverage) and 0 < self.coverage < 1):
            raise ValueError(f"coverage is {self.coverage!r}; expected a number between 0 and 1, such as 0.9")
        if self.abstain_above is not None and not (_is_number(self.abstain_above) and self.abstain_above >= 0):
            raise ValueError(f"abstain_above is {self.abstain_above!r}; expected a risk of 0 or more, such as 0.2")
        word = "coverage" if self.coverage is not None else "abstain_above"
        if fitted.task.output_kind not in ("classes", "labels", "number"):
            raise ValueError(
                f"{word}= is for classes, labels and numbers; this model {fitted.task.family.does}; leave it out"
            )
        found = fitted.calibration
        if found is None or len(found) == 0:
            raise ValueError(f"{word}= rests on calibration rows, and this model has none: {TEACH}")
        if self.coverage is not None:
            found.method_named(self.method)
            if len(found) < fewest_rows(self.coverage):
                warnings.warn(
                    f"coverage={self.coverage:g} needs {fewest_rows(self.coverage)} calibration rows at least, this "
                    f"model has {len(found)}: sets hold everything, intervals are infinite",
                    UserWarning,
                    stacklevel=4,
                )
        if self.abstain_above is not None and fitted.task.output_kind == "number" and found.curves is None:
            raise ValueError(
                f"abstain_above= of a number needs 240 calibration rows, of which 80 show how errors differ; this "
                f"model has {found.facts.get('rows')}: calibrate it on more"
            )

    def known_rows(self, fitted: FittedParts) -> KnownRows:
        """What counts the rows that the model has seen; it counts none where nothing is asked for."""
        seen = {"trained the model or chose its epoch": fitted.seen, "calibrated it": fitted.calibration_rows}
        return KnownRows({w: s for w, s in seen.items() if s is not None and s.tells} if self.is_asked else {})

    def columns(
        self, fitted: FittedParts, outputs: np.ndarray, present_KM: np.ndarray, keep: np.ndarray, count: int
    ) -> tuple[dict[str, Any], dict[int, str], set[int]]:
        """Further columns, problems by position, and positions whose answer is withheld.

        Args:
            fitted: The model.
            outputs: Calibrated outputs of the kept rows [K, C].
            present_KM: What is there of them.
            keep: Their positions among the rows of the chunk.
            count: Rows of the chunk.
        """
        columns: dict[str, Any] = {}
        problems: dict[int, str] = {}
        withheld: set[int] = set()
        found = fitted.calibration
        if not self.is_asked or found is None:
            return columns, problems, withheld
        if self.coverage is not None:
            made, promised_K = self._sets(found, fitted, outputs, present_KM, keep, count)
            columns |= made
            for place in np.flatnonzero(~promised_K):
                there = [n for n, present in zip(found.names, present_KM[place], strict=True) if present]
                what = f"only {' + '.join(there)}" if there else "nothing to read"
                problems[int(keep[place])] = f"no calibration row has {what}: no coverage is promised"
        if self.abstain_above is not None:
            risk_K = answer_risks(fitted.task, fitted.labels, outputs, found)
            assert risk_K is not None
            columns["risk"] = _filled(risk_K, keep, count)
            reasons: list[str | None] = [None] * count
            for place in np.flatnonzero(risk_K > self.abstain_above):
                row = int(keep[place])
                reasons[row] = f"risk {risk_K[place]:.3g} is above {self.abstain_above:g}"
                withheld.add(row)
            columns["abstained"] = pa.array(reasons, pa.string())
        return columns, problems, withheld

    def _sets(
        self, found: Calibration, fitted: FittedParts, outputs: np.ndarray, present_KM: np.ndarray, keep: np.ndarray,
        count: int,
    ) -> tuple[dict[str, Any], np.ndarray]:  # fmt: skip
        assert self.coverage is not None
        if found.kind == "number":
            low_K, high_K, promised_K = found.intervals(outputs, present_KM, self.coverage, self.method)
            return {"low": _filled(low_K, keep, count), "high": _filled(high_K, keep, count)}, promised_K
        inside_KC, promised_K = found.sets(outputs, present_KM, self.coverage, self.method)
        classes = np.array(fitted.labels.classes, dtype=object)
        listed: list[list[str] | None] = [None] * count
        for place, row in enumerate(keep):
            if promised_K[place]:
                order = np.argsort(-outputs[place], kind="stable")  # the likeliest first
                listed[int(row)] = [str(classes[c]) for c in order if inside_KC[place, c]]
        return {"set": pa.array(listed, pa.list_(pa.string()))}, promised_K


@dataclass
class KnownRows:
    """Counts predicted rows that the model has seen, on which nothing that rests on calibration rows holds.

    Attributes:
        by: Hashes of rows, by what these did.
        rows: Predicted rows so far.
        counts: How many of them are known, by what they did.
    """

    by: dict[str, SeenInputs]
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, rows: Rows) -> None:
        """Take account of the rows of a chunk."""
        self.rows += len(rows)
        for what, seen in self.by.items():
            self.counts[what] = self.counts.get(what, 0) + int(seen.found_in(rows)[0].sum())

    def warn(self) -> None:
        """Warn if there were such rows."""
        found = [f"{number:,} {what}" for what, number in self.counts.items() if number]
        if found:
            warnings.warn(
                f"of {counted(self.rows, 'predicted row')}, known again by their contents, {' and '.join(found)}: no "
                "coverage and no risk is promised on these, only on rows that are new to the model",
                UserWarning,
                stacklevel=3,
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _filled(values_K: np.ndarray, keep: np.ndarray, count: int) -> Any:
    """One value a row of the chunk; null where the row is left out or nothing is promised."""
    filled = np.full(count, np.nan)
    filled[keep] = values_K
    return pa.array(filled, mask=np.isnan(filled))
