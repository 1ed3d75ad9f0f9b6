"""The shape of a report: the one dict from which both the page and the JSON are written.

Every key is optional. A part that is absent, None or empty leaves its section out of the page. Numbers may be
numpy scalars; NaN and infinities become null. Texts may hold anything: they are escaped.
"""

from __future__ import annotations

from typing import Any, TypedDict


class MetricChoice(TypedDict, total=False):
    """The primary metric and its direction."""

    name: str
    higher_is_better: bool


class Interval(TypedDict, total=False):
    """A number with its 95% interval; a bare number may stand in its place."""

    value: float | None
    low: float | None
    high: float | None


class Confusion(TypedDict):
    """Counts, a row per true class and a column per predicted class, in the order of ``labels``."""

    labels: list[str]
    matrix: list[list[int]]


class ClassEntry(TypedDict, total=False):
    """One class (what ``evaluate.per_class`` gives): its rows, and precision, recall and F1 with their intervals."""

    label: str
    support: int
    predicted: int
    precision: Interval
    recall: Interval
    f1: Interval


class CleanedText(TypedDict, total=False):
    """A text before and after cleaning."""

    row: int
    before: str
    after: str


class Cleaned(TypedDict, total=False):
    """What cleaning did to the texts of a modality on the evaluated rows."""

    modality: str
    cleaning: str
    rows: int
    examples: list[CleanedText]


class SliceRow(TypedDict, total=False):
    """The rows that share a value of a column, and the metrics on them (what ``evaluate.slices`` gives)."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Any]


class ExampleInput(TypedDict, total=False):
    """One input of an example: ``text`` (the cell in words) or a picture is shown, whatever its ``kind``."""

    name: str
    kind: str
    text: str
    image_jpeg_base64: str


class Example(TypedDict, total=False):
    """One row with what was true and what was predicted."""

    row: int
    inputs: list[ExampleInput]
    truth: Any
    references: list[str]
    prediction: Any
    probability: float | None
    correct: bool | None


class DirectionEntry(TypedDict, total=False):
    """One side searched by another: counts of queries and items, each metric with its interval, and what chance
    gets.
    """

    query: str
    gallery: str
    queries: int
    items: int
    metrics: dict[str, Interval]
    chance: dict[str, float]


class HitEntry(TypedDict, total=False):
    """An item that was found, with its cosine to the query."""

    row: int
    inputs: list[ExampleInput]
    score: float
    right: bool


class Search(TypedDict, total=False):
    """A query with its first hits; ``rank`` is that of its first right item."""

    row: int
    query: str
    gallery: str
    inputs: list[ExampleInput]
    rank: float
    correct: bool
    hits: list[HitEntry]


class BadRowEntry(TypedDict, total=False):
    """A row or cell that could not be used, why, and what became of it: "left out" or "counted as missing"."""

    row: int
    column: str | None
    reason: str
    outcome: str


class Scatter(TypedDict):
    """For regression: truth and prediction of the same rows."""

    truth: list[float]
    prediction: list[float]


class MissingPatternRow(TypedDict, total=False):
    """A pattern of what is there, and the primary metric under it."""

    present: list[str]
    missing: list[str]
    rows: int
    rows_with_nothing: int
    metrics: dict[str, Any]


class MissingCountRow(TypedDict, total=False):
    """So many of a kind missing, the rest there: the mean over ``subsets`` of the ``of_subsets`` ways to do so.

    ``kind`` is a kind that several modalities have, or "modality": of all alike.
    """

    kind: str
    missing: int
    among: int
    subsets: int
    of_subsets: int
    metrics: dict[str, Any]


class MissingCurve(TypedDict, total=False):
    """Scores as more is missing completely at random; robustness as in ``evaluate.robustness``."""

    levels: list[float]
    scores: list[float | None]
    late: list[float | None] | None
    draws: int
    missing: str
    relative_robustness: float | None
    effective_robustness: float | None
    effective_interval: tuple[float | None, float | None] | None


class Missing(TypedDict, total=False):
    """What happens without modalities: ``occurring`` on all evaluated rows, the rest on ``rows`` of ``of`` rows."""

    metric: str
    chance: float | None
    rows: int
    of: int
    occurring: list[MissingPatternRow]
    hidden: list[MissingPatternRow]
    counts: list[MissingCountRow]
    curve: MissingCurve
    notes: list[str]
    sentence: str | None


class FusionWeight(TypedDict, total=False):
    """Of one modality: rows in which it is there, mean and spread over rows, 5 % and 95 % quantiles of its weight."""

    modality: str
    rows: int
    mean: float | None
    standard_deviation: float | None
    low: float | None
    high: float | None


class FusionWeights(TypedDict):
    """Shares that a fusion gives the modalities."""

    rows: int
    modalities: list[FusionWeight]


class Evaluation(TypedDict, total=False):
    """What was measured, on which rows. ``chance`` is what guessing gets on the primary metric."""

    rows: int
    split: str
    metrics: dict[str, Interval]
    notes: list[str]
    chance: float | None
    confusion: Confusion | None
    per_class: list[ClassEntry] | None
    cleaned: list[Cleaned]
    scatter: Scatter | None
    slices: list[SliceRow]
    alone: dict[str, dict[str, Interval]]
    without: dict[str, dict[str, Interval]]
    missing: Missing | None
    fusion_weights: FusionWeights
    trust: dict[str, Any]
    examples: list[Example]
    directions: list[DirectionEntry]
    searches: list[Search]
    bad_rows: list[BadRowEntry]
    counts: dict[str, Any]


class SchemaRow(TypedDict, total=False):
    """A column of the table and why it was read so."""

    name: str
    kind: str | None
    role: str
    reason: str


class EncoderPart(TypedDict, total=False):
    """An encoder of the model."""

    modality: str
    name: str
    tuning: str
    vector_dim: int
    parameters: int


class FusionPart(TypedDict, total=False):
    """The fusion: its equation in plain text and the paper it comes from."""

    name: str
    equation: str
    paper: str
    interaction: str


class Parameters(TypedDict, total=False):
    """Counts of weights."""

    total: int
    trained: int


class ModelPart(TypedDict, total=False):
    """The model in words and sizes; any further key is shown as it is."""

    encoders: list[EncoderPart]
    fusion: FusionPart
    head: str
    parameters: Parameters
    size_bytes: int


class Report(TypedDict, total=False):
    """Everything a report can say. ``history`` holds a dict per epoch: epoch, train_loss, val_<metric>,
    ...
    """

    plait: str
    created: str
    task: str
    target: str
    metric: MetricChoice
    verdict: str
    checks: list[dict[str, str]]  # written by the report itself, see plait.report.checks
    terms: dict[str, str]
    splits: dict[str, int]
    evaluation: Evaluation
    unlabelled: dict[str, Any]
    budget: dict[str, Any]
    history: list[dict[str, Any]]
    best_epoch: int | None
    schema: list[SchemaRow]
    model: ModelPart
    settings: dict[str, Any]
    versions: dict[str, str]
