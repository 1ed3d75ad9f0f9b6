"""Our choice, task by task; what has been measured of it stands in docs/benchmarks.md."""

from __future__ import annotations

from plait.settings import RunSettings
from plait.training.recipes.base import (
    APART,
    MANY_ROWS,
    NO_OBJECTIVES,
    NOTHING_HIDDEN,
    RECIPES,
    SUBSETS,
    TASK_CHOICES,
    Choices,
    Facts,
    TaskChoices,
    few_epochs,
    small_batch,
)
from plait.training.recipes.two_sides import keep_to, see_closely, towers

SMALL_PHOTO = 160
ENOUGH_FOR_TOKENS = 20_000  # rows; below, a fusion of tokens may learn them by heart (docs/LOG.md)


def default(facts: Facts) -> Choices:
    """What suits most tables, changed by what the task asks (``TASK_CHOICES``)."""
    side = 96 if facts.photo_side is not None and facts.photo_side < SMALL_PHOTO else 224
    chosen: Choices = {
        "encoders": {
            "image_size": side, "image_crops": "whole", "text_cleaning": "none", "words": 0, "numbers": "linear",
            "categories": "full",
        },
        "fusion": {"name": "gated" if len(facts.kinds) > 1 else "concat", "width": 256, "dropout": 0.3},
        "task": {"head": "label", "class_weights": False, "threshold": "auto"},
        "train": {
            "epochs": 30, "optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01,
            "schedule": "cosine", "warmup": 0.05, "patience": 8, **NO_OBJECTIVES,
            **(SUBSETS if len(facts.kinds) > 2 else APART),
            "batch_size": small_batch(facts.num_train, 256), "ema": 0.0, "min_steps": 0,
        },
    }  # fmt: skip
    if facts.task in TASK_CHOICES:
        TASK_CHOICES.get(facts.task).choose(chosen, facts)
    return chosen


def of_vectors(num_train: int) -> Choices:
    """What a fusion of vectors beside one of tokens is trained by: as long as on any other table."""
    train = {"epochs": 30, "patience": 8, "min_steps": 0, "batch_size": small_batch(num_train, 256), **APART}
    return {"fusion": {"dropout": 0.3}, "train": train}


def _tokens_of_many_rows(chosen: Choices, facts: Facts) -> None:
    if {"text", "image"} <= set(facts.kinds) and facts.num_train >= MANY_ROWS:
        chosen["fusion"] = {
            "name": "co_attention", "width": 256, "dropout": 0.1,
            "alternative": "product" if facts.num_train < ENOUGH_FOR_TOKENS else "none",
        }  # fmt: skip
        chosen["train"] |= {**NOTHING_HIDDEN, **few_epochs(facts.num_train)}


def _questions(chosen: Choices, facts: Facts) -> None:
    chosen["fusion"] = {"name": "co_attention", "width": 256, "dropout": 0.1}
    chosen["train"] |= APART
    _tokens_of_many_rows(chosen, facts)


def _pairs(chosen: Choices, facts: Facts) -> None:
    see_closely(chosen, facts)
    chosen["fusion"] = towers(copies=2, dropout=0.6, canonical=True)
    chosen["task"]["head"] = "pair"
    chosen["train"] |= {
        "alignment": 5.0, **NOTHING_HIDDEN, "epochs": 20, "patience": 20,
        "batch_size": small_batch(facts.num_train, 512),
    }  # fmt: skip


def _pairs_adapt(settings: RunSettings, chosen: Choices) -> None:
    if settings.recipe != "classic":
        keep_to(settings, chosen)


def _closed(settings: RunSettings) -> Choices:
    return {"task": {"answers": "closed"}}


RECIPES.add("default", default)
TASK_CHOICES.add("classification", TaskChoices(_tokens_of_many_rows))
TASK_CHOICES.add("vqa", TaskChoices(_questions, fix=_closed))
TASK_CHOICES.add("matching", TaskChoices(_pairs, _pairs_adapt))
