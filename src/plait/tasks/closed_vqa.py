"""Closed visual question answering: choose from the answers of the training rows.

A target cell holds one answer or several people's. What is learned is the most frequent of them; a row whose answer is
not in the list cannot be got right and is counted as wrong. Lists are cut to the most frequent answers. Spellings that
the cleaning of the VQA challenge makes one ("Red.", "the red", "RED") are one answer, shown as most people wrote it.

Reference: Antol et al. 2015, section 4 (the K most frequent answers as classes); Anderson et al. 2018 and others keep
3,129 of VQA v2.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import numpy as np

from plait.metrics.answers import cleaned
from plait.metrics.vqa import vqa_accuracy
from plait.registry import counted
from plait.settings import TaskSettings
from plait.tasks.base import TASKS
from plait.tasks.generation import ABOUT_QUESTIONS, ANSWER_TYPE, QUESTION, references
from plait.tasks.labels import LabelState

COVERED = 0.8


def majority(answers: tuple[str, ...]) -> str:
    """The most frequent answer; of equally frequent ones the first."""
    return Counter(answers).most_common(1)[0][0]


def choose_answers(values: list[Any], settings: TaskSettings) -> tuple[str, str]:
    """Whether answers are chosen ("vqa") or generated ("vqa_open"), and why.

    Args:
        values: References of the rows that have any.
        settings: ``answers`` decides where it is given.
    """
    if settings.answers is not None:
        return ("vqa" if settings.answers == "closed" else "vqa_open"), f"answers are {settings.answers}, as given"
    counts = Counter(_agreed(row) for row in values)
    kept = sum(count for _, count in counts.most_common(settings.max_answers))
    share = kept / max(1, len(values))
    if share >= COVERED:
        known = counted(min(len(counts), settings.max_answers), "answer covers", "answers cover")
        return "vqa", f"closed: {known} {share:.1%} of the rows"
    return "vqa_open", f"open: the {settings.max_answers:,} most frequent answers cover only {share:.1%} of the rows"


def fit_answers(values: list[Any], max_answers: int) -> LabelState:
    """The most frequent answers as classes, most frequent first; equally frequent ones by name.

    Raises:
        ValueError: Fewer than two different answers.
    """
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for row in values:
        answer = _agreed(row)
        spellings[answer][_spelled(row, answer)] += 1
    if len(spellings) < 2:
        raise ValueError(
            f"the training rows hold {counted(len(spellings), 'answer', 'different answers')}; vqa needs "
            "at least two. Check target= and the split"
        )
    counts = {_shown(answer, found): found.total() for answer, found in spellings.items()}
    ranked = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return LabelState(classes=tuple(ranked[:max_answers]))


def consensus(predictions: list[Any], values: list[Any]) -> dict[str, Any]:
    """VQA accuracy against several people's answers; nothing where a row has only one."""
    if any(len(row) < 2 for row in values):
        return {}
    found = vqa_accuracy([str(p) for p in predictions], [list(row) for row in values])
    return {"vqa_accuracy": found["vqa_accuracy"], "notes": found["notes"]}


def _agreed(answers: tuple[str, ...]) -> str:
    return majority(tuple(cleaned(answer) for answer in answers))


def _spelled(answers: tuple[str, ...], answer: str) -> str:
    return majority(tuple(text for text in answers if cleaned(text) == answer))


def _shown(answer: str, spellings: Counter[str]) -> str:
    """The most frequent spelling; of equally frequent ones the clean one, else the first by name."""
    return min(spellings, key=lambda text: (-spellings[text], text != answer, text))


def _encode(values: list[Any], state: LabelState) -> np.ndarray:
    exact = {name: i for i, name in enumerate(state.classes)}
    place = {cleaned(name): i for name, i in reversed(exact.items())}  # of classes alike, the more frequent one

    def number(row: tuple[str, ...]) -> int:
        if not row:
            return -1
        answer = _agreed(row)
        return exact.get(_spelled(row, answer), place.get(answer, -1))

    return np.array([number(row) for row in values], dtype=np.int64)


TASKS.add(
    "vqa",
    replace(
        TASKS.get("classification"), name="vqa", parse=references, expects="an answer, or a list of answers",
        fit=lambda values: fit_answers(values, TaskSettings().max_answers),
        fit_with=lambda values, settings: fit_answers(values, settings.task.max_answers), encode=_encode,
        also=consensus, needs_image=True, filler=(), stratum=majority, balanced_metric=None,
        becomes=choose_answers, question=QUESTION, about_rows=ABOUT_QUESTIONS,
        slice_by=ANSWER_TYPE,
    ),
)  # fmt: skip
