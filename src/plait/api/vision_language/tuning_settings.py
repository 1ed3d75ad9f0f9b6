"""Settings of LoRA: which of those of ``plait.fit`` a ready vision-language model takes, and what fills the open ones.

Rank, parts and training have the names that they have for our own models: ``language.tuning``, ``language.lora_rank``,
``encoders.tuning``, ``train``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from plait.inference.vision_language.adapter import LANGUAGE, VISION
from plait.settings import Assignments, RunSettings, TrainSettings, assignments_of, merge_values, set_values

TAKEN = (
    "language.tuning", "language.lora_rank", "encoders.tuning", "train.epochs", "train.batch_size", "train.accumulate",
    "train.learning_rate", "train.weight_decay", "train.optimizer", "train.momentum", "train.schedule", "train.warmup",
    "train.patience", "train.max_grad_norm", "train.min_steps", "train.precision", "train.gradient_checkpointing",
    "train.seed",
)  # fmt: skip
EPOCHS, FEWEST_STEPS, BATCH, RATE, WARMUP = 3, 100, 8, 2e-4, 0.1  # the rate: Dettmers et al. 2023, table 9


def tuning_settings(given: dict[str, Any], assignments: Assignments) -> RunSettings:
    """Settings of a run, open ones left open.

    Args:
        given: Values of arguments by the names of their settings; None: not given.
        assignments: What ``set=`` holds.

    Raises:
        ValueError: A setting that changes nothing here, or a value that cannot be.
    """
    listed = assignments_of(assignments)
    for text in listed:
        name = text.partition("=")[0].strip()
        if name not in TAKEN:
            raise ValueError(
                f"the setting {name!r} is for models that plait.fit trains; a ready vision-language model takes "
                f"{', '.join(TAKEN)}"
            )
    settings = set_values(merge_values(RunSettings(), given), listed)
    if settings.language.tuning not in (None, "lora", "frozen"):
        raise ValueError("a ready vision-language model is tuned with language.tuning=lora (or frozen); not in full")
    if settings.encoders.tuning not in ("frozen", "lora"):
        raise ValueError(
            f"what sees the picture is left as it is (encoders.tuning=frozen) or tuned with LoRA "
            f"(encoders.tuning=lora); got {settings.encoders.tuning!r}"
        )
    if not parts_of(settings):
        raise ValueError("language.tuning=frozen and encoders.tuning=frozen leave nothing to learn; set one to lora")
    if settings.train.batch_size == 0:
        raise ValueError("train.batch_size is 0, all rows at once, which no memory holds; expected 1 or more")
    return settings


def parts_of(settings: RunSettings) -> Sequence[str]:
    """Which parts of the network learn."""
    chosen = {LANGUAGE: settings.language.tuning or "lora", VISION: settings.encoders.tuning}
    return tuple(part for part, how in chosen.items() if how == "lora")


def resolved(train: TrainSettings, rows: int) -> TrainSettings:
    """The settings with nothing open: three epochs of batches of eight, more where those are fewer than 100 steps.

    Args:
        train: As given.
        rows: Training rows.
    """
    batch = train.batch_size or BATCH
    steps = max(1, ceil(ceil(rows / batch) / train.accumulate))
    fewest = FEWEST_STEPS if train.min_steps is None else train.min_steps
    return replace(
        train, batch_size=batch, epochs=train.epochs or max(EPOCHS, ceil(fewest / steps)), min_steps=fewest,
        learning_rate=RATE if train.learning_rate is None else train.learning_rate, schedule=train.schedule or "cosine",
        weight_decay=0.0 if train.weight_decay is None else train.weight_decay, patience=train.patience or 0,
        warmup=WARMUP if train.warmup is None else train.warmup, ema=0.0, layer_decay=1.0,
    )  # fmt: skip
