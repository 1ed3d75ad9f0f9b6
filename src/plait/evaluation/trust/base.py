"""What a part of the trust report takes and gives, and the list of parts.

Each part is a record of its own file: what it is called, when it does not apply, and a function of ``TrustInputs``.
A part that does not apply has ``applicable`` False and says ``why``; none is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EvaluationInputs
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.registry import Registry
from plait.training.fitted import FittedParts


@dataclass
class TrustInputs:
    """A model and its rows, as every part of the trust report takes them.

    Attributes:
        fitted: The model, with what reads its inputs.
        given: The judged rows.
        open_whole: Opens every row of the table that has a target, judged or not.
        seed: Of everything that is drawn.
        progress: Called with (done, total, what).
    """

    fitted: FittedParts
    given: EvaluationInputs
    open_whole: Callable[[], EvaluationInputs]
    seed: int = 0
    progress: Progress | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def whole(self) -> EvaluationInputs:
        """Every row of the table that has a target."""
        return self.open_whole()

    @cached_property
    def logits_NC(self) -> np.ndarray:  # noqa: N802  shape letters
        """Logits of the judged rows [N, C]."""
        return self.logits_of(self.given)

    @cached_property
    def outputs_NC(self) -> np.ndarray:  # noqa: N802
        """Outputs of the judged rows, probabilities or numbers [N, C]."""
        return self.given.task.activate(self.logits_NC, self.given.labels)

    def logits_of(self, given: EvaluationInputs, index_NM: np.ndarray | None = None) -> np.ndarray:
        """Logits [N, C] of rows, or of such that show other items.

        Args:
            given: The rows.
            index_NM: Item of each modality in each row, -1 where missing; None: those of the rows.
        """
        shown = given.prepared.rows.index_NM[given.positions] if index_NM is None else index_NM
        return predict_logits(given.answers, RowBatches(given.prepared.sources, shown), progress=self.progress)

    def row_scores(self, outputs_NC: np.ndarray, given: EvaluationInputs | None = None) -> np.ndarray:
        """Right (1) or wrong (0) of each row for classes; for label sets the share of labels that are right; for a
        number its absolute error [N].
        """
        rows = self.given if given is None else given
        decided, kind = rows.task.decode(outputs_NC, rows.labels), rows.task.output_kind
        if kind == "number":
            return np.abs(np.asarray(decided, dtype=np.float64) - np.asarray(rows.target, dtype=np.float64).reshape(-1))
        encoded = rows.task.encode(list(decided), rows.labels)
        if kind == "labels":
            return np.asarray((np.asarray(encoded) == np.asarray(rows.target)).mean(axis=1), dtype=np.float64)
        return np.asarray(np.asarray(encoded) == np.asarray(rows.target), dtype=np.float64)


@dataclass(frozen=True)
class TrustPart:
    """One part of the trust report.

    Attributes:
        title: What it is called, for people.
        run: From the model and its rows to plain values, a ``sentence`` among them.
        not_applicable: Why the part does not apply to this model and these rows; None where it does.
    """

    title: str
    run: Callable[[TrustInputs], dict[str, Any]]
    not_applicable: Callable[[TrustInputs], str | None] = lambda inputs: None


TRUST_PARTS: Registry[TrustPart] = Registry("part of the trust report")


def parts_report(inputs: TrustInputs) -> dict[str, Any]:
    """Every part of the trust report by its name; one that does not apply says why."""
    found: dict[str, Any] = {}
    for name in TRUST_PARTS:
        part = TRUST_PARTS.get(name)
        reason = part.not_applicable(inputs)
        made = {"applicable": False, "why": reason} if reason is not None else {"applicable": True, **part.run(inputs)}
        found[name] = {"title": part.title, **made}
    return found


def needs_labels(*kinds: str) -> Callable[[TrustInputs], str | None]:
    """Why a part does not apply to a model whose outputs are none of these kinds; None where it does."""

    def reason(inputs: TrustInputs) -> str | None:
        kind = inputs.fitted.task.output_kind
        if kind in kinds:
            return None
        return f"not for {inputs.fitted.task.name}, which {inputs.fitted.task.family.does}"

    return reason
