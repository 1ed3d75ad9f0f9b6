"""One frozen record a task: how a target is read, the loss, how outputs are decoded, what is measured.

A task of your own is one such record: ``plait.register_task(Task(...))``, in an installed plug-in or in a file of yours
that runs before ``plait.fit`` and ``plait.load``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from plait.registry import Registry
from plait.settings import RunSettings, TaskSettings
from plait.settings.added_metrics import is_lower_better
from plait.tasks.added_metrics import KINDS, WithAdded
from plait.tasks.families import FAMILIES, OutputFamily
from plait.tasks.labels import LabelState


def _as_encoded(target: np.ndarray, state: LabelState) -> np.ndarray:
    return target


@dataclass(frozen=True)
class Task:
    """What a task is.

    Attributes:
        name: Its name.
        parse: A target cell to its plain value, or None when it cannot be read.
        expects: What a readable target looks like, for messages.
        fit: Plain values of the training rows to the label state.
        encode: Plain values and state to an array, [N] or [N, C].
        loss: Logits, encoded targets and optional class weights to a loss per row [B].
        activate: Logits [N, C] to probabilities [N, C], or to predicted numbers [N, 1].
        decode: Activated outputs and state to one prediction per row.
        metrics: Encoded targets, as ``natural`` gives them, and activated outputs to named numbers; explanations also
            measure sums of parts of outputs, which for numbers may lie outside the range of ``activate``. As
            ``RowMetrics`` they also measure resamples of the rows at once, which makes intervals cheap.
        primary: The metric that selects the epoch and heads the report.
        higher_is_better: Direction of that metric.
        modalities: How many modalities it needs exactly, or None.
        output_kind: Name of the family of its outputs: "classes", "labels", "number", "text" or "embeddings".
        selects: Metric that chooses the epoch on validation; None: the primary one.
        fit_with: Used in place of ``fit`` where the label state depends on settings.
        also: Further metrics of decoded predictions and plain values, where they can be had.
        needs_image: Whether an image column must be among the inputs.
        needs_target: Whether rows need a target column.
        has_baselines: Whether a modality alone can do the task, so that one model a modality is trained beside.
        variant: Name it is registered under, where that is not its name: classification with ordered classes is
            "ordinal".
        natural: Encoded targets and state to targets in their own unit, as ``metrics`` takes them.
        filler: Stands for the target of a row that has none and is not used; None: the first class, or 0.
        class_weights: Encoded training targets and number of outputs to a weight of each output; None: it has none.
        stratum: Plain value to what every split holds its share of; None: rows are dealt regardless of it.
        balanced_metric: Metric in which a rare class counts as much as a common one; None: it has none.
        needs_known_class: Whether a row of a class that training did not see is left out of evaluation; elsewhere it
            counts as wrong.
        judges_pairs: Whether it says of two items that they belong together (class "1") or not.
        becomes: Plain values and settings to the name of the task that it turns out to be, and why.
        question: Column that is read as text where the table has it and no text column is named.
        about_rows: Columns that say what kind of row it is: no inputs, unless they are named as such.
        inverse: What undoes ``activate``: outputs [N, C] to logits that give them. None: answers of several models
            cannot be averaged, and one network answers.
        loss_with: ``loss`` with ``smoothing=`` and ``focus=`` (``task.label_smoothing``, ``task.focal``); None: none.
        balance: Encoded training targets, number of outputs and beta to the weight of each output
            (``task.class_balance``); None: it has none.
        metrics_at: ``metrics`` with ``thresholds=``, one of the second of two classes, else one a class or label; None:
            it knows none.
        slice_by: Columns by whose values results are distinguished, where the table has them.
    """

    name: str
    parse: Callable[[object], Any]
    expects: str
    fit: Callable[[list[Any]], LabelState]
    encode: Callable[[list[Any], LabelState], np.ndarray]
    loss: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    activate: Callable[[np.ndarray, LabelState], np.ndarray]
    decode: Callable[[np.ndarray, LabelState], list[Any]]
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, Any]]
    primary: str
    higher_is_better: bool
    modalities: int | None = None
    output_kind: str = "classes"
    selects: str | None = None
    fit_with: Callable[[list[Any], RunSettings], LabelState] | None = None
    also: Callable[[list[Any], list[Any]], dict[str, Any]] | None = None
    needs_image: bool = False
    needs_target: bool = True
    has_baselines: bool = True
    variant: str | None = None
    natural: Callable[[np.ndarray, LabelState], np.ndarray] = _as_encoded
    filler: Any = None
    class_weights: Callable[[np.ndarray, int], list[float]] | None = None
    stratum: Callable[[Any], str] | None = None
    balanced_metric: str | None = None
    needs_known_class: bool = False
    judges_pairs: bool = False
    becomes: Callable[[list[Any], TaskSettings], tuple[str, str]] | None = None
    question: str | None = None
    about_rows: tuple[str, ...] = ()
    slice_by: tuple[str, ...] = ()
    inverse: Callable[[np.ndarray, LabelState], np.ndarray] | None = None
    metrics_at: Callable[..., dict[str, Any]] | None = None
    loss_with: Callable[..., Tensor] | None = None
    balance: Callable[[np.ndarray, int, float], list[float]] | None = None

    def __post_init__(self) -> None:
        """Let the metrics hold what others add to the task."""
        if self.output_kind in KINDS:
            own = self.metrics.own if isinstance(self.metrics, WithAdded) else self.metrics
            limits = self.metrics.thresholds if isinstance(self.metrics, WithAdded) else ()
            object.__setattr__(self, "metrics", WithAdded(own, self.name, self.output_kind, limits))

    @property
    def record(self) -> str:
        """The name it is registered under."""
        return self.variant or self.name

    @property
    def family(self) -> OutputFamily:
        """What it shares with all tasks of its kind of output."""
        return FAMILIES.get(self.output_kind)

    def deciding(self, thresholds: tuple[float, ...]) -> Task:
        """The task whose metrics decide at these thresholds; itself where there are none."""
        if not thresholds or self.metrics_at is None:
            return self
        return replace(self, metrics=WithAdded(self.metrics_at, self.name, self.output_kind).deciding(thresholds))

    def selecting(self, metrics: Mapping[str, Any]) -> float | None:
        """The number that selects the epoch, of metrics on validation rows: the larger the better, whatever the metric.

        None where the metric cannot be measured on these rows.
        """
        name = self.selects or self.primary
        value = metrics.get(name)
        falls = not self.higher_is_better if name == self.primary else is_lower_better(name)
        return None if value is None else -float(value) if falls else float(value)

    def labels_of(self, values: list[Any], settings: RunSettings) -> LabelState:
        """The label state of training rows, under resolved settings."""
        state = self.fit(values) if self.fit_with is None else self.fit_with(values, settings)
        if self.family.prior is None:
            return state
        target = self.natural(self.encode(values, state), state)
        return replace(state, prior=tuple(float(v) for v in self.family.prior(target, state.num_outputs)))

    def encode_all(self, values: list[Any], state: LabelState) -> np.ndarray:
        """Encoded targets of all rows, those without a readable target (None) among them."""
        filler = self.filler
        if filler is None:
            filler = state.classes[0] if state.classes else 0.0
        return self.encode([filler if value is None else value for value in values], state)


TASKS: Registry[Task] = Registry("task", is_open=True)
