"""Settings of a run: frozen dataclasses, written to and read from ``run.yaml``, strict about every key.

Each group of settings is one dataclass with one sentence a field. ``None`` means "let the recipe or the data
decide"; :func:`plait.recipes.resolve` replaces every such ``None`` before training, so a written ``run.yaml``
holds no guesses.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from plait.language_settings import LANGUAGE_TUNINGS, LanguageSettings
from plait.registry import unknown_name

S = TypeVar("S")

BAD_ROW_POLICIES = ("error", "missing", "skip")
TUNINGS = ("frozen", "last_n", "lora", "full")
RETRIEVAL_LOSSES = ("infonce", "siglip", "triplet")
POSITIVES = ("own", "group")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
TEXT_CLEANINGS = ("none", "social")
SELECTORS = (
    "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "auroc", "average_precision", "quadratic_kappa",
)  # fmt: skip


@dataclass(frozen=True)
class DataSettings:
    """What the rows are and how they are read."""

    source: str | None = None
    """Where the table came from, for the record."""
    format: str | None = None
    """Format of the source, or None to tell it from the name."""
    encoding: str | None = None
    """Encoding of a text file, or None: UTF-8, or what the file itself says."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a CSV or TSV file without a header line, in order."""
    target: str | None = None
    """Column to predict."""
    text: tuple[str, ...] = ()
    """Columns to read as text."""
    image: tuple[str, ...] = ()
    """Columns to read as images."""
    audio: tuple[str, ...] = ()
    """Columns to read as sounds."""
    image_set: tuple[str, ...] = ()
    """Columns to read as sets of images, any number in a cell."""
    vector: tuple[str, ...] = ()
    """Columns to read as ready vectors, or sequences of them."""
    numeric: tuple[str, ...] = ()
    """Columns to read as numbers."""
    categorical: tuple[str, ...] = ()
    """Columns to read as categories."""
    ignore: tuple[str, ...] = ()
    """Columns to leave out."""
    split: str | None = None
    """Column that says train, val or test."""
    group: str | None = None
    """Column whose equal values must stay on one side of a split."""
    id: str | None = None
    """Column that names the row in predictions."""
    on_bad_row: str = "error"
    """What to do with a row that cannot be read: error, missing (the cell counts as absent) or skip."""
    max_pixels: int = 64_000_000
    """Largest image accepted, in pixels."""


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoders read the columns, and what of them is trained."""

    text: str = "minilm"
    """Text encoder reference."""
    image: str = "efficientnet-lite0"
    """Image encoder reference, for sets of images too."""
    audio: str = "scratch:audio"
    """Sound encoder reference."""
    image_size: int | None = None
    """Side in pixels images are fed at, or None: the encoder's own, or less where the photos are small."""
    max_length: int = 128
    """Longest text, in tokens; what is cut is counted."""
    text_cleaning: str | None = None
    """none, or social: addresses, user names, hashtags and emoji of posts as words; None: the recipe's choice."""
    audio_seconds: float = 30.0
    """Longest sound, in seconds; what is cut is counted."""
    spec_augment: bool = True
    """Hide bands of time and frequency from a sound encoder that is trained from scratch (SpecAugment)."""
    shared: bool = False
    """Let trained encoders of one kind share their weights between columns; frozen ones always do."""
    tuning: str = "frozen"
    """What of the pretrained encoders is trained: frozen, last_n, lora or full."""
    last_n: int = 2
    """How many last blocks are trained under tuning=last_n."""


@dataclass(frozen=True)
class FusionSettings:
    """How modalities become one vector."""

    name: str | None = None
    """Name of the fusion, or None: the recipe's choice for the task."""
    width: int | None = None
    """Width of the fused vector."""
    dropout: float | None = None
    """Feature dropout in front of the fusion, in [0, 1)."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of that fusion alone, such as raw or hidden_layers."""


@dataclass(frozen=True)
class TaskSettings:
    """What is learned."""

    name: str | None = None
    """classification, multilabel, regression, matching, retrieval, captioning, vqa, or None: told from the target."""
    head: str | None = None
    """label, pair, towers or generate, or None: the recipe's choice."""
    answers: str | None = None
    """Of vqa: closed (choose from the training answers) or open (generate), or None: told from their number."""
    max_answers: int = 3129
    """Most answers that a closed vqa chooses from, the most frequent ones; rows with others are counted."""
    class_weights: bool | None = None
    """Weigh each class by the inverse of how often it occurs in training, or None: the recipe's choice."""
    ordinal: bool = False
    """The classes have an order (classification only): a loss and metrics that know how far off a guess is."""
    order: tuple[str, ...] = ()
    """The classes under ordinal, lowest first; empty: told from names that are numbers or words of a known scale."""
    select_by: str | None = None
    """Metric that chooses the epoch on validation rows (higher must be better), or None: the task's own."""
    loss: str | None = None
    """Loss of retrieval: infonce, siglip or triplet; None: the recipe's choice."""
    positives: str | None = None
    """Under infonce, what other rows of the same group are: own (left out) or group (right answers too)."""
    hubs: bool | None = None
    """Retrieval: correct vectors for items that are near to everything, by the training items; None: yes."""
    temperature: float | None = None
    """Start of the learned temperature of retrieval, 0.01 or more; None: 0.07, and 0.1 for siglip."""
    margin: float | None = None
    """Margin of the triplet loss, a difference of cosines in (0, 2]; None: 0.2."""


@dataclass(frozen=True)
class TrainSettings:
    """How it is learned."""

    epochs: int | None = None
    """Passes over the training rows."""
    batch_size: int | None = None
    """Rows per step, or 0: all, at most 8,192; None: up to 256, less on small tables so that an epoch has steps."""
    hard_negatives: int | None = None
    """Retrieval: rows put into a batch for each row drawn, those of other groups that are nearest to it; 0: none."""
    optimizer: str | None = None
    """adamw or sgd."""
    learning_rate: float | None = None
    """Peak learning rate of fusion and head."""
    encoder_learning_rate: float = 2e-5
    """Learning rate of pretrained encoders that are trained; those from scratch learn like fusion and head."""
    weight_decay: float | None = None
    """Weight decay."""
    momentum: float = 0.9
    """Momentum of sgd."""
    schedule: str | None = None
    """constant, linear or cosine."""
    warmup: float | None = None
    """Share of the steps over which the learning rate rises, in [0, 1)."""
    patience: int | None = None
    """Stop after this many epochs without a better validation score; 0 never stops early."""
    modality_dropout: float | None = None
    """Probability that a modality is hidden from a training row (one always stays), in [0, 1)."""
    alignment: float | None = None
    """Weight of contrastive alignment: the pair head's own term, or with any other head one over all modalities."""
    auxiliary: float | None = None
    """Weight of each modality's own loss beside the joint one (auxiliary heads)."""
    gradient_blending: bool | None = None
    """Weigh each modality's loss and the joint one by how well what it learns generalises, epoch by epoch."""
    ogm: float | None = None
    """How hard the gradient of a modality that is ahead of the others is slowed down (OGM); 0 leaves it alone."""
    ogm_noise: bool = False
    """Add noise as large as the gradient to the gradients under ogm (the GE of OGM-GE)."""
    orthogonality: float | None = None
    """Weight of the term that keeps modalities from telling the same."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    seed: int = 0
    """Seed of everything random."""
    baselines: bool = True
    """Also train each modality alone, for the comparison in the report."""
    tensorboard: bool = False
    """Write TensorBoard logs (extra tensorboard) beside the CSV."""
    threads: int | None = None
    """CPU threads, or None: those this process may use."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that defines a run."""

    recipe: str = "default"
    """Name of the recipe the open settings are filled from."""
    data: DataSettings = field(default_factory=DataSettings)
    encoders: EncoderSettings = field(default_factory=EncoderSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    language: LanguageSettings = field(default_factory=LanguageSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        """Refuse values outside their range.

        Raises:
            ValueError: A setting is out of range; the message names it, the value and what is allowed.
        """
        _choice("data.on_bad_row", self.data.on_bad_row, BAD_ROW_POLICIES)
        _choice("encoders.tuning", self.encoders.tuning, TUNINGS)
        _choice("task.answers", self.task.answers, ("closed", "open"))
        _choice("language.tuning", self.language.tuning, LANGUAGE_TUNINGS)
        _choice("task.loss", self.task.loss, RETRIEVAL_LOSSES)
        _choice("task.positives", self.task.positives, POSITIVES)
        _choice("encoders.text_cleaning", self.encoders.text_cleaning, TEXT_CLEANINGS)
        _choice("task.select_by", self.task.select_by, SELECTORS)
        if self.task.order and not self.task.ordinal:
            raise ValueError("task.order is for ordered classes; type --set task.ordinal=true too")
        if self.task.select_by == "quadratic_kappa" and not self.task.ordinal:
            raise ValueError("task.select_by=quadratic_kappa is for ordered classes; type --set task.ordinal=true too")
        _choice("train.optimizer", self.train.optimizer, OPTIMIZERS)
        _choice("train.schedule", self.train.schedule, SCHEDULES)
        for name, value, low in (
            ("task.max_answers", self.task.max_answers, 2),
            ("language.lora_rank", self.language.lora_rank, 1),
            ("language.beams", self.language.beams, 1),
            ("language.max_tokens", self.language.max_tokens, 2),
            ("language.vocabulary", self.language.vocabulary, 300),
            ("language.width", self.language.width, 1),
            ("language.layers", self.language.layers, 1),
            ("language.heads", self.language.heads, 1),
            ("train.epochs", self.train.epochs, 1),
            ("train.batch_size", self.train.batch_size, 0),
            ("train.hard_negatives", self.train.hard_negatives, 0),
            ("train.patience", self.train.patience, 0),
            ("train.threads", self.train.threads, 1),
            ("fusion.width", self.fusion.width, 1),
            ("encoders.image_size", self.encoders.image_size, 16),
            ("encoders.max_length", self.encoders.max_length, 2),
            ("encoders.last_n", self.encoders.last_n, 1),
            ("train.seed", self.train.seed, 0),
        ):
            if value is not None and value < low:
                raise ValueError(f"{name} must be {low} or more, got {value}")
        if not 0.1 <= self.encoders.audio_seconds <= 3600:
            raise ValueError(f"encoders.audio_seconds must be 0.1 to 3600, got {self.encoders.audio_seconds}")
        for name, share in (
            ("fusion.dropout", self.fusion.dropout),
            ("train.modality_dropout", self.train.modality_dropout),
            ("train.warmup", self.train.warmup),
        ):
            if share is not None and not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {share}")
        for name in ("alignment", "auxiliary", "ogm", "orthogonality"):
            weight = getattr(self.train, name)
            if weight is not None and not 0 <= weight < math.inf:
                raise ValueError(f"train.{name} must be 0 or more, got {weight}")
        if self.train.ogm_noise and (self.train.ogm is None or self.train.ogm == 0):
            raise ValueError("train.ogm_noise adds noise under train.ogm, which is off; type --set train.ogm=0.5 too")
        if self.train.learning_rate is not None and not self.train.learning_rate > 0:
            raise ValueError(f"train.learning_rate must be above 0, got {self.train.learning_rate}")


def _choice(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ValueError(unknown_name(name, value, list(allowed)))


def to_dict(settings: object) -> dict[str, Any]:
    """A settings dataclass as plain lists and dicts."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(settings))  # type: ignore[call-overload]
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def from_dict(kind: type[S], values: dict[str, Any], where: str = "run") -> S:
    """Build a settings dataclass from plain values.

    Raises:
        ValueError: A key is unknown (the nearest keys are named) or a value has the wrong type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be a mapping of settings, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(unknown_name(f"setting in {where}", key, known))
        hint = hints[key]
        name = f"{where}.{key}" if where != "run" else key
        made[key] = (
            from_dict(hint, value, name)
            if isinstance(hint, type) and dataclasses.is_dataclass(hint)
            else _coerce(name, value, hint)
        )
    return kind(**made)


def _coerce(name: str, value: Any, hint: Any) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if value is None:
        if type(None) in options:
            return None
        raise ValueError(f"{name} needs a value")
    for option in options:
        origin = typing.get_origin(option) or option
        if origin is tuple and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if origin is bool and isinstance(value, bool):
            return value
        if origin is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if origin is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if origin is float and isinstance(value, str):
            try:  # YAML reads 1e-3 (no dot) as text
                return float(value)
            except ValueError:
                pass
        if origin is str and isinstance(value, str):
            return value
        if origin is dict and isinstance(value, dict):
            return dict(value)
    wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not type(None))
    raise ValueError(f"{name} must be {wanted}, got {value!r}")


def set_values(settings: RunSettings, assignments: list[str]) -> RunSettings:
    """Apply ``a.b=c`` assignments, c read as YAML.

    Example:
        >>> set_values(RunSettings(), ["train.epochs=3"]).train.epochs
        3

    Raises:
        ValueError: No "=", an unknown key or a value of the wrong type.
    """
    values = to_dict(settings)
    for text in assignments:
        path, equals, raw = text.partition("=")
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE such as train.epochs=3, got {text!r}")
        node = values
        *parents, last = path.strip().split(".")
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                raise ValueError(unknown_name("setting", path, [k for k, v in node.items() if isinstance(v, dict)]))
            node = node[parent]
        try:
            node[last] = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {path.strip()}: {raw!r} is not valid YAML") from error
    return from_dict(RunSettings, values)


def write_settings(path: Path, settings: RunSettings, extra: dict[str, Any]) -> None:
    """Write ``run.yaml``: every resolved setting, and ``extra`` (versions, fingerprint) under ``facts``."""
    path.write_text(
        yaml.safe_dump({**to_dict(settings), "facts": extra}, sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )


def read_settings(path: Path) -> RunSettings:
    """Read ``run.yaml`` back.

    Raises:
        ValueError: The file is not valid YAML or holds unknown settings.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path} must hold a mapping of settings, got {type(values).__name__}")
    values.pop("facts", None)
    return from_dict(RunSettings, values)
