"""The shape of ``compare.json``: what a comparison says, key by key. NaN and undefined numbers are null.

Numbers of a metric are on test rows unless they stand under ``validation``.
"""

from __future__ import annotations

from typing import Any, TypedDict

from plait.metrics.comparison import Difference, Rank


class Score(TypedDict):
    """The primary metric: mean over seeds with its 95% interval, standard deviation over seeds, each seed."""

    value: float | None
    low: float | None
    high: float | None
    spread: float | None
    seeds: list[float | None]


class Validation(TypedDict):
    """The selection metric on validation rows: mean over seeds, and each seed.

    Cross-fitted for a method that fits part of itself on validation rows; its scores under ``search`` are not.
    """

    value: float
    seeds: list[float]


class Tried(TypedDict):
    """A configuration of the search, its validation score with seed 0, and what became of it.

    ``status`` is "done", "failed" or "not applicable"; ``reason`` says why, where it is not "done".
    """

    learning_rate: float
    dropout: float
    width: int
    validation: float | None
    status: str
    reason: str | None


class Failure(TypedDict):
    """A run that failed; ``configuration`` is its number in the search, from 0."""

    seed: int
    configuration: int
    reason: str


class Cost(TypedDict):
    """What a method takes. ``memory_is`` is "counted" (CPU) or "measured" (accelerator).

    ``train_ratio`` is relative to the fastest fusion. ``parameters`` are those of fusion, head and
    adapters.
    """

    parameters: int
    encoder_parameters: int
    train_seconds: float
    train_ratio: float | None
    steps: int
    memory_bytes: int
    memory_is: str
    inference_ms_per_1000: float


class Fit(TypedDict):
    """How to train the chosen configuration for use, on the same table.

    ``command`` is a command line with the folder MODEL to be filled in (and TABLE, where the table was no path);
    ``options`` are the same as arguments of ``plait.fit`` beside the table.
    """

    command: str
    options: dict[str, Any]


class MethodEntry(TypedDict, total=False):
    """A line of the comparison. Those whose ``status`` is not "ok" have no scores, rank or cost.

    ``kind`` is "fusion", "late" (a fusion of answers), "single" (one modality alone) or "ensemble" (the plain mean of
    the single-modality models). ``chosen`` is the number of the chosen configuration in ``search``; ``objectives`` are
    the training aids of this line alone, with their strengths. ``metrics`` are all metrics of the task, mean over
    seeds. ``fit`` is None where no single fit trains the line.
    """

    name: str
    kind: str
    fusion: str | None
    head: str | None
    modalities: list[str]
    objectives: dict[str, float]
    equation: str
    paper: str | None
    needs_tokens: bool
    interaction: str | None
    status: str
    reason: str | None
    metric: Score
    metrics: dict[str, float | None]
    rank: Rank
    validation: Validation
    seeds: list[int]
    chosen: int | None
    search: list[Tried]
    failures: list[Failure]
    cost: Cost
    fit: Fit | None


class ComparisonReport(TypedDict, total=False):
    """Everything. ``methods`` stand best first, those that did not run last.

    ``selected`` and ``baselines`` ("single", "ensemble") are names, chosen by validation score; ``selected_fit`` is the
    ``fit`` of the selected method. ``bootstrap`` holds
    resamples, level, rows and "drawn from" (rows or groups). ``search`` holds configurations, seed, epochs,
    batch_size, steps_a_run and optimizer. ``runs`` holds how many were
    trained by this call, on how many processes (``workers``), and the seconds of the whole call.
    """

    plait: str
    created: str
    task: str
    target: str
    metric: dict[str, Any]
    select_on: str
    selection_metric: str
    verdict: str
    selected: str | None
    selected_fit: Fit | None
    baselines: dict[str, str | None]
    methods: list[MethodEntry]
    differences: list[Difference]
    correction: str
    chance: float | None
    bootstrap: dict[str, Any]
    search: dict[str, Any]
    num_seeds: int
    runs: dict[str, Any]
    splits: dict[str, int]
    notes: list[str]
    bad_cells: int
    schema: list[dict[str, Any]]
    encoders: dict[str, str]
    settings: dict[str, Any]
    versions: dict[str, str]
