"""The range of every setting: a value outside it is refused by name, with what is allowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plait.registry import unknown_name
from plait.settings.groups import (
    BAD_ROW_POLICIES,
    HIDING_PATTERNS,
    LANGUAGE_TUNINGS,
    OPTIMIZERS,
    POSITIVES,
    PRECISIONS,
    RETRIEVAL_LOSSES,
    SCHEDULES,
    SELECTORS,
    TEXT_CLEANINGS,
    TUNINGS,
)

if TYPE_CHECKING:
    from plait.settings.run import RunSettings


def check_ranges(run: RunSettings) -> None:
    """Refuse values outside their range.

    Raises:
        ValueError: A setting is out of range; the message names it, the value and what is allowed.
    """
    _choice("data.on_bad_row", run.data.on_bad_row, BAD_ROW_POLICIES)
    _choice("encoders.tuning", run.encoders.tuning, TUNINGS)
    _choice("task.answers", run.task.answers, ("closed", "open"))
    _choice("language.tuning", run.language.tuning, LANGUAGE_TUNINGS)
    _choice("task.loss", run.task.loss, RETRIEVAL_LOSSES)
    _choice("task.positives", run.task.positives, POSITIVES)
    _choice("encoders.text_cleaning", run.encoders.text_cleaning, TEXT_CLEANINGS)
    _choice("task.select_by", run.task.select_by, SELECTORS)
    if run.task.order and not run.task.ordinal:
        raise ValueError("task.order is for ordered classes; type --set task.ordinal=true too")
    if run.task.select_by == "quadratic_kappa" and not run.task.ordinal:
        raise ValueError("task.select_by=quadratic_kappa is for ordered classes; type --set task.ordinal=true too")
    _choice("train.optimizer", run.train.optimizer, OPTIMIZERS)
    _choice("train.schedule", run.train.schedule, SCHEDULES)
    _choice("train.precision", run.train.precision, PRECISIONS)
    _choice("fusion.absence", run.fusion.absence, ("mask", "learned"))
    _choice("train.modality_dropout_pattern", run.train.modality_dropout_pattern, HIDING_PATTERNS)
    _choice("train.modality_dropout_schedule", run.train.modality_dropout_schedule, ("constant", "linear"))
    for name, value, low in (
        ("train.epochs", run.train.epochs, 1), ("train.batch_size", run.train.batch_size, 0),
        ("train.hard_negatives", run.train.hard_negatives, 0), ("train.patience", run.train.patience, 0),
        ("train.threads", run.train.threads, 1), ("fusion.width", run.fusion.width, 1),
        ("encoders.image_size", run.encoders.image_size, 16), ("encoders.max_length", run.encoders.max_length, 2),
        ("encoders.last_n", run.encoders.last_n, 1), ("train.seed", run.train.seed, 0),
        ("judge.missing_rows", run.judge.missing_rows, 0), ("judge.missing_draws", run.judge.missing_draws, 1),
        ("task.max_answers", run.task.max_answers, 2), ("language.lora_rank", run.language.lora_rank, 1),
        ("language.beams", run.language.beams, 1), ("language.max_tokens", run.language.max_tokens, 2),
        ("language.vocabulary", run.language.vocabulary, 300), ("language.width", run.language.width, 1),
        ("language.layers", run.language.layers, 1), ("language.heads", run.language.heads, 1),
    ):  # fmt: skip
        if value is not None and value < low:
            raise ValueError(f"{name} must be {low} or more, got {value}")
    if not 0.1 <= run.encoders.audio_seconds <= 3600:
        raise ValueError(f"encoders.audio_seconds must be 0.1 to 3600, got {run.encoders.audio_seconds}")
    rate = run.train.modality_dropout
    rates = {f" of {name}": r for name, r in rate.items()} if isinstance(rate, dict) else {"": rate}
    shares: dict[str, Any] = {f"train.modality_dropout{of}": r for of, r in rates.items()}
    for name, share in {**shares, "fusion.dropout": run.fusion.dropout, "train.warmup": run.train.warmup}.items():
        if share is not None and not (isinstance(share, int | float) and 0 <= share < 1):
            raise ValueError(f"{name} must be at least 0 and below 1, got {share!r}")
    if isinstance(rate, dict) and run.train.modality_dropout_pattern == "subset":
        raise ValueError(
            "train.modality_dropout by name goes with train.modality_dropout_pattern=independent; give subset one "
            "number"
        )
    for name in ("alignment", "auxiliary", "ogm", "orthogonality"):
        weight = getattr(run.train, name)
        if weight is not None and not 0 <= weight < math.inf:
            raise ValueError(f"train.{name} must be 0 or more, got {weight}")
    if run.train.ogm_noise and (run.train.ogm is None or run.train.ogm == 0):
        raise ValueError("train.ogm_noise adds noise under train.ogm, which is off; type --set train.ogm=0.5 too")
    if not 0.01 <= run.judge.missing_step < 1:
        raise ValueError(f"judge.missing_step must be at least 0.01 and below 1, got {run.judge.missing_step}")
    if run.train.learning_rate is not None and not run.train.learning_rate > 0:
        raise ValueError(f"train.learning_rate must be above 0, got {run.train.learning_rate}")


def _choice(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ValueError(unknown_name(name, value, list(allowed)))
