"""The groups of a run's settings: one frozen dataclass each, one sentence a field, beside it the range.

``None`` means "let the recipe or the data decide"; :func:`plait.training.recipes.resolve` replaces every such ``None``
before training, so a written ``run.yaml`` holds no guesses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plait.settings.added_metrics import ADDED_METRICS
from plait.settings.names import IMAGE_CROPS, PAGE_LANGUAGES
from plait.settings.ranges import (
    above_zero,
    at_least,
    below_one,
    between,
    choice,
    choices,
    inside_or,
    named_choices,
    one_character,
    share,
    up_to_one,
    weight,
)
from plait.settings.trackers import TRACKER_NAMES

BAD_ROW_POLICIES = ("error", "missing", "skip")
ENGINES = ("auto", "torch", "openvino", "openvino-bf16", "openvino-int8")
TUNINGS = ("frozen", "last_n", "lora", "full")
LANGUAGE_TUNINGS = ("frozen", "lora", "full")
RETRIEVAL_LOSSES = ("infonce", "siglip", "triplet")
POSITIVES = ("own", "group")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("float32", "bfloat16")
HIDING_PATTERNS = ("independent", "subset")
TEXT_CLEANINGS = ("none", "social")
THRESHOLD_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "f1_micro", "exact_match")
SELECTORS = (
    "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "f1_micro", "exact_match", "auroc", "auroc_macro",
    "average_precision", "mAP", "quadratic_kappa", "log_loss", "r2", "mae", "rmse", "pearson",
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
    delimiter: str | None = one_character(None)
    """One character between the fields of a CSV file, or None: found in its first rows."""
    decimal: str | None = choice(None, (".", ","))
    """Decimal mark of columns whose cells leave it open (1,234), or None: such columns are not read as numbers."""
    date_order: str | None = choice(None, ("dmy", "mdy"))
    """Order of dates whose column leaves it open (05/03/2024), or None: such columns are not read as dates."""
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
    date: tuple[str, ...] = ()
    """Columns to read as dates, times of day or both."""
    ignore: tuple[str, ...] = ()
    """Columns to leave out."""
    split: str | None = None
    """Column that says train, val or test, and calibration where rows are kept for it."""
    split_by_time: str | None = None
    """Column of dates or numbers by which rows are split: the earliest train, the latest test."""
    calibration: float = below_one(0.0, 0.0)
    """Share of the rows that is kept for calibration and trains nothing, in [0, 1), where no split marks any."""
    group: str | None = None
    """Column whose equal values must stay on one side of a split."""
    id: str | None = None
    """Column that names the row in predictions."""
    on_bad_row: str = choice("error", BAD_ROW_POLICIES)
    """What to do with a row that cannot be read: error, missing (the cell counts as absent) or skip."""
    max_pixels: int = at_least(64_000_000, 1)
    """Largest image accepted, in pixels."""
    allow_outside: bool = False
    """Let cells name files outside the table's folder; for tables that can be trusted."""
    allow_remote: bool = False
    """Fetch cells that are addresses of objects (s3://, gs://, hf://, https://); for tables that can be trusted."""
    test: bool = True
    """Judge on rows that chose nothing; false: where the split column marks train and val alone, val rows judge too."""


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoders read the columns, and what of them is trained."""

    text: str = "minilm"
    """Text encoder reference."""
    image: str = "efficientnet-lite0"
    """Image encoder reference, for sets of images too."""
    audio: str = "whisper-tiny-en"
    """Sound encoder reference."""
    columns: dict[str, Any] = field(default_factory=dict)
    """References for single columns in place of those above: {caption_zh: e5-small-multilingual}."""
    numbers: str | None = choice(None, ("linear", "piecewise", "periodic"))
    """How a network is given a number: linear, piecewise (linear pieces between quantiles of the training rows) or
    periodic (sines and cosines at learned frequencies); None: the recipe's choice.
    """
    categories: str | None = choice(None, ("full", "compact"))
    """How a network is given a category: full (an embedding of a token's width each) or compact (narrower the fewer
    there are, and rare ones of many share one); None: the recipe's choice.
    """
    image_crops: str | None = choice(None, IMAGE_CROPS)
    """Views of a picture over whose vectors a frozen encoder averages: whole (one), diagonal (and two corners), corners
    (and four), six (and its mirror image too); as many times the encoding. None: the recipe's choice.
    """
    image_size: int | None = at_least(None, 16)
    """Side in pixels images are fed at, or None: the encoder's own, or less where the photos are small."""
    max_length: int = at_least(128, 2)
    """Longest text, in tokens; what is cut is counted."""
    text_cleaning: str | None = choice(None, TEXT_CLEANINGS)
    """none, or social: addresses, user names, hashtags and emoji of posts as words; None: the recipe's choice."""
    words: int | None = at_least(None, 0)
    """Width of a trained bag of words beside the vector of each text, 0 for none, or None: the recipe's choice."""
    word_dropout: float = share(0.2)
    """Share of a text's words that this bag leaves out in training, in [0, 1)."""
    audio_seconds: float = between(30.0, 0.1, 3600)
    """Longest sound, in seconds; what is cut is counted."""
    spec_augment: bool = True
    """Hide bands of time and frequency from a sound encoder that is trained from scratch (SpecAugment)."""
    shared: bool = False
    """Let trained encoders of one kind share their weights between columns; frozen ones always do."""
    tuning: str = choice("frozen", TUNINGS)
    """What of the pretrained encoders is trained: frozen, last_n, lora or full."""
    tuning_of: dict[str, Any] = named_choices(TUNINGS)
    """The same for single columns in place of tuning: {caption: last_n}; what stays frozen is read from the store."""
    last_n: int = at_least(2, 1)
    """How many last blocks are trained under last_n."""
    batch_mb: float = between(4.0, 0.01, 1e6)
    """Most megabytes of padded inputs an encoder works on at once; longer batches are cut, with equal results."""
    engine: str = choice("auto", ENGINES)
    """What runs frozen encoders on a CPU: auto (OpenVINO where it is installed and many items are to be encoded), torch
    or openvino (always; it must work), openvino-bf16 or openvino-int8 (texts in fewer bits: faster, less exact).
    """


@dataclass(frozen=True)
class FusionSettings:
    """How modalities become one vector."""

    name: str | None = None
    """Name of the fusion, or None: the recipe's choice for the task."""
    width: int | None = at_least(None, 1)
    """Width of the fused vector."""
    dropout: float | None = share(None)
    """Feature dropout in front of the fusion, in [0, 1)."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of that fusion alone, such as raw or hidden_layers."""
    scaling: str | None = choice(None, ("rows", "features", "both"))
    """How frozen vectors are scaled: rows (layer norm), features (by training rows), both, or None: the recipe's."""
    absence: str = choice("mask", ("mask", "learned"))
    """What the fusion sees of a missing modality: mask (it is left out) or learned (a learned vector stands for it)."""
    positions: str = choice("auto", ("auto", "none"))
    """Position codes of tokens: auto (sequences and grids whose encoder tells no place) or none (bags)."""
    alternative: str | None = None
    """Trained too, the better on validation rows is kept: a fusion, none, or None: the recipe's choice."""


@dataclass(frozen=True)
class TaskSettings:
    """What is learned."""

    name: str | None = None
    """classification, multilabel, regression, matching, retrieval, captioning, vqa, or None: derived from the
    target.
    """
    head: str | None = None
    """label, members (many small networks in one, averaged), pair, towers or generate, or None: the recipe's choice."""
    answers: str | None = choice(None, ("closed", "open"))
    """Of vqa: closed (choose from the training answers) or open (generate), or None: derived from their number."""
    max_answers: int = at_least(3129, 2)
    """Most answers that a closed vqa chooses from, the most frequent ones; rows with others are counted."""
    class_weights: bool | None = None
    """Weigh each class by the inverse of how often it occurs in training, or None: the recipe's choice."""
    ordinal: bool = False
    """The classes have an order (classification only): a loss and metrics that know how far off a guess is."""
    order: tuple[str, ...] = ()
    """The classes under ordinal, lowest first; empty: derived from names that are numbers or words of a known scale."""
    transform: str | None = choice(None, ("auto", "none", "log", "quantile"))
    """How a number is learned: none (as it is), log, quantile, or auto: which of them, validation rows choose; None:
    auto where several models are tried, else none.
    """
    predict: str | None = choice(None, ("mean", "median"))
    """What is answered of a number that was learned as its logarithm or quantile: mean (squared errors) or median
    (absolute errors); None: mean.
    """
    select_by: str | None = choice(None, SELECTORS, ADDED_METRICS)
    """Metric that chooses on validation rows, such as log_loss or a plug-in's, or None: the task's own. It chooses the
    epoch, between fusions, among tries of a search, and whether unlabelled rows helped; weights of an ensemble's
    members and penalties are chosen by the proper loss (log loss, squared error).
    """
    label_smoothing: float = below_one(0.0, 0.0)
    """Share of the truth that is spread over all classes in training, in [0, 1); 0: none (Szegedy et al. 2016)."""
    focal: float = between(0.0, 0.0, 10.0)
    """Focus of the focal loss: how much less rows count that are answered surely already, 0 to 10 (Lin et al. 2017)."""
    class_balance: float = below_one(0.0, 0.0)
    """Weigh classes by the inverse of the effective number of their rows: beta in [0, 1), such as 0.99 (Cui et al.
    2019); 0: off.
    """
    threshold: float | str | None = inside_or(None, 0.0, 1.0, ("auto",))
    """From which probability on the second of two classes, or a label of a set, is answered: auto (tuned on validation
    rows, where that gains on rows that did not tune it), or a number between 0 and 1; None: the recipe's choice.
    """
    threshold_for: str | None = choice(None, THRESHOLD_METRICS)
    """Metric that thresholds are tuned for; None: that of task.select_by or the primary one where these count
    decisions, else f1_macro; of more than two classes, for another metric than accuracy, one a class is tuned.
    """
    loss: str | None = choice(None, RETRIEVAL_LOSSES)
    """Loss of retrieval: infonce, siglip or triplet; None: the recipe's choice."""
    positives: str | None = choice(None, POSITIVES)
    """Under infonce, what other rows of the same group are: own (left out) or group (right answers too)."""
    hubs: bool | None = None
    """Retrieval: correct vectors for items that are near to everything, by the training items; None: yes."""
    temperature: float | None = None
    """Start of the learned temperature of retrieval, 0.01 or more; None: 0.07, and 0.1 for siglip."""
    margin: float | None = None
    """Margin of the triplet loss, a difference of cosines in (0, 2]; None: 0.2."""

    def check_together(self) -> None:
        """Refuse values that contradict each other."""
        is_ordered = self.ordinal or self.name == "ordinal"
        if self.order and not is_ordered:
            raise ValueError("task.order is for ordered classes; type set=['task.ordinal=true'] too")
        if self.class_weights and self.class_balance > 0:
            raise ValueError("task.class_weights and task.class_balance both weigh classes; leave one of them out")
        if self.select_by == "quadratic_kappa" and not is_ordered:
            raise ValueError(
                "task.select_by=quadratic_kappa is for ordered classes; type set=['task.ordinal=true'] too"
            )


@dataclass(frozen=True)
class LanguageSettings:
    """The language model that writes answers, for tasks that generate."""

    model: str | None = None
    """scratch (a small decoder), smollm2-135m or hf:ID_or_folder, or None: the recipe's choice."""
    tuning: str | None = choice(None, LANGUAGE_TUNINGS)
    """What of it is trained: frozen, lora or full, or None: full from scratch, else frozen."""
    lora_rank: int = at_least(8, 1)
    """Rank of the additions under tuning=lora."""
    prompt: str = ""
    """Text between the inputs and every answer, such as "Caption:"."""
    max_tokens: int = at_least(40, 2)
    """Longest answer, in tokens; what is cut is counted."""
    beams: int | None = at_least(None, 1)
    """Beams when answers are evaluated or written, or None: 3 for captions, 1 for answers to questions."""
    vocabulary: int = at_least(8000, 300)
    """Most tokens that a decoder from scratch learns from the training answers."""
    width: int = at_least(256, 1)
    """Width of a decoder from scratch."""
    layers: int = at_least(4, 1)
    """Layers of a decoder from scratch."""
    heads: int = at_least(4, 1)
    """Attention heads of a decoder from scratch."""


@dataclass(frozen=True)
class TrainSettings:
    """How it is learned."""

    epochs: int | None = at_least(None, 1)
    """Passes over the training rows."""
    batch_size: int | None = at_least(None, 0)
    """Rows per step, or 0: all, at most 8,192; None: up to 256, less on small tables so that an epoch has steps."""
    hard_negatives: int | None = at_least(None, 0)
    """Retrieval: rows put into a batch for each row drawn, those of other groups that are nearest to it; 0: none."""
    optimizer: str | None = choice(None, OPTIMIZERS)
    """adamw or sgd."""
    learning_rate: float | None = above_zero(None)
    """Peak learning rate of fusion and head."""
    encoder_learning_rate: float | None = above_zero(None)
    """Learning rate of pretrained encoders that are trained, or None: 1e-4 if all learn by LoRA, else 2e-5."""
    layer_decay: float | None = up_to_one(None)
    """Factor on that rate a block behind a weight, in (0, 1] (Howard and Ruder 2018), or None: the recipe's."""
    weight_decay: float | None = None
    """Weight decay."""
    momentum: float = 0.9
    """Momentum of sgd."""
    schedule: str | None = choice(None, SCHEDULES)
    """constant, linear or cosine."""
    warmup: float | None = share(None)
    """Share of the steps over which the learning rate rises, in [0, 1)."""
    patience: int | None = at_least(None, 0)
    """Stop after this many epochs without a better validation score; 0 never stops early."""
    modality_dropout: float | dict[str, Any] | None = share(None)
    """Probability that a modality is hidden from a training row (never the last), in [0, 1), or {text: 0.5} by name."""
    modality_dropout_pattern: str | None = choice(None, HIDING_PATTERNS)
    """independent, or subset: train.modality_dropout is the probability that a row keeps a random part only."""
    modality_dropout_schedule: str = choice("constant", ("constant", "linear"))
    """constant, or linear: from 0 in the first epoch to the full probability in the last."""
    alignment: float | None = weight(None, usual=0.1)
    """Weight of contrastive alignment: the pair head's own term, or with any other head one over all modalities."""
    auxiliary: float | None = weight(None, usual=0.3)
    """Weight of each modality's own loss beside the joint one (auxiliary heads)."""
    gradient_blending: bool | None = None
    """Weigh each modality's loss and the joint one by how well what it learns generalises, epoch by epoch."""
    ogm: float | None = weight(None, usual=0.5)
    """How hard the steps of a modality that is ahead of the others are slowed down (OGM); 0 leaves them alone."""
    ogm_noise: bool = False
    """Add noise as large as the step to the steps under ogm (the GE of OGM-GE)."""
    orthogonality: float | None = weight(None, usual=0.1)
    """Weight of the term that keeps modalities from telling the same."""
    opm: float | None = weight(None, usual=0.5)
    """How often a modality that is ahead of the others is hidden from the fusion (OPM), above 0, 0.5 in the paper."""
    umt: float | None = weight(None, usual=1.0)
    """Weight of the term that keeps each modality near a network trained on it alone (unimodal teachers)."""
    mmpareto: float | None = weight(None, usual=1.5)
    """MMPareto: how many times longer the steps of single modalities are, 1.5 in the paper, 1 as long; 0 is off."""
    comm: float | None = weight(None, usual=0.1)
    """Weight of the contrast between views of the fused vector and each modality alone (CoMM)."""
    lemda: float | None = weight(None, usual=0.0001)
    """Weight at which learned changes of the vectors make the task harder (LeMDA), 0.0001 in usual use; 0: off."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    accumulate: int = at_least(1, 1)
    """Batches whose gradients are added up for one step, for batches that do not fit in memory."""
    fsdp: bool = False
    """Shard encoders that learn whole, their gradients and optimizer state over the processes of torchrun (FSDP)."""
    min_steps: int | None = at_least(None, 0)
    """Fewest steps: where epochs are left open, as many as that takes; None: the recipe's choice."""
    ema: float | None = below_one(None, 0.0)
    """Decay a step of the moving average of weights that is kept, in [0, 1), 0: none, or None: the recipe's."""
    group_by_length: bool = False
    """Captions and written answers: batches of rows of about equal length, which pad less; a step is faster."""
    mixup: float = between(0.0, 0.0, 10.0)
    """Blend rows with others of the batch by shares from Beta(mixup, mixup); 0: off (Zhang et al. 2018)."""
    precision: str = choice("float32", PRECISIONS)
    """float32, or bfloat16: trained encoders and the language model multiply in half the bits while training."""
    gradient_checkpointing: bool = False
    """Compute blocks of what learns again on the way back: less memory, slower, same numbers (Chen et al. 2016)."""
    seed: int = at_least(0, 0)
    """Seed of everything random."""
    baselines: bool = True
    """Also train each modality alone, for the comparison in the report."""
    log_to: tuple[str, ...] = choices((), TRACKER_NAMES)
    """Trackers that log the training of the fused network: mlflow, tensorboard, trackio, wandb; offline by default."""
    threads: int | None = at_least(None, 1)
    """CPU threads, or None: those this process may use."""

    def check_together(self) -> None:
        """Refuse values that contradict each other."""
        if isinstance(self.modality_dropout, dict) and self.modality_dropout_pattern == "subset":
            raise ValueError(
                "train.modality_dropout by name goes with train.modality_dropout_pattern=independent; give subset one "
                "number"
            )
        if self.ogm_noise and (self.ogm is None or self.ogm == 0):
            raise ValueError("train.ogm_noise adds noise under train.ogm, which is off; type set=['train.ogm=0.5'] too")


@dataclass(frozen=True)
class EvaluationSettings:
    """How a trained model is evaluated."""

    lang: str = choice("en", PAGE_LANGUAGES)
    """Language of the pages: en or zh; the JSON beside them is the same in each."""
    by: tuple[str, ...] = ()
    """Columns, inputs or not, by whose values results are distinguished, beside categories and VQA's answer_type."""
    share: float | None = above_zero(0.5)
    """Share of the seconds of training (10 s at least) for judging with modalities missing, or null: no limit."""
    missing_rows: int | None = at_least(None, 0)
    """Evaluated rows on which modalities are hidden, whatever they take; 0: none; None: 2,000, fewer by the share."""
    missing_step: float = below_one(0.1, 0.01)
    """Step between the levels at which modalities are hidden at random: 0, 0.1, 0.2 and so on, below 1."""
    corrupted_rows: int = at_least(60, 0)
    """Evaluated rows whose inputs the trust report corrupts, encoders run live on them; 0 leaves it out."""
    missing_draws: int = at_least(5, 1)
    """How often is drawn at random which modalities to hide, at each level; the scores are averaged."""
