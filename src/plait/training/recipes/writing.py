"""What writing asks of a recipe: captions and open answers to questions (docs/decisions/0011-generation.md)."""

from __future__ import annotations

from plait.settings import RunSettings
from plait.training.recipes.base import (
    MANY_ROWS,
    NOTHING_HIDDEN,
    TASK_CHOICES,
    Choices,
    Facts,
    TaskChoices,
    few_epochs,
    small_batch,
)


def write_text(chosen: Choices, facts: Facts) -> None:
    """A prefix of all tokens in front of a small decoder."""
    chosen["fusion"] = {"name": "prefix", "width": 256, "dropout": 0.1}
    chosen["task"] |= {"head": "generate"}
    chosen["train"] |= {
        **NOTHING_HIDDEN, "epochs": 15, "patience": 4, "batch_size": small_batch(facts.num_train, 64),
    }  # fmt: skip


def answer_in_words(chosen: Choices, facts: Facts) -> None:
    """As ``write_text``; where a picture stands beside a question, the decoder reads their co-attention.

    A plain prefix leaves it to the decoder to join the two, which took many more passes to learn (docs/LOG.md).
    """
    write_text(chosen, facts)
    if {"text", "image"} <= set(facts.kinds):
        chosen["fusion"] = {"name": "co_attention", "width": 256, "dropout": 0.1}
        if facts.num_train >= MANY_ROWS:
            chosen["train"] |= few_epochs(facts.num_train)


def _adapt(settings: RunSettings, chosen: Choices) -> None:
    if settings.task.head not in (None, "generate"):
        raise ValueError(f"a task that writes text takes task.head=generate, not {settings.task.head}")


def _language(settings: RunSettings, beams: int) -> Choices:
    model = settings.language.model or "scratch"
    tuning = settings.language.tuning or ("full" if model == "scratch" else "frozen")
    language = {"model": model, "tuning": tuning, "beams": settings.language.beams or beams}
    return {"task": {"head": "generate"}, "language": language}


def _fix_captions(settings: RunSettings) -> Choices:
    return _language(settings, 3)


def _fix_answers(settings: RunSettings) -> Choices:
    fixed = _language(settings, 1)
    fixed["task"]["answers"] = "open"
    return fixed


TASK_CHOICES.add("captioning", TaskChoices(write_text, _adapt, _fix_captions))
TASK_CHOICES.add("vqa_open", TaskChoices(answer_in_words, _adapt, _fix_answers))
