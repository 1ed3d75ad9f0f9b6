"""What a recipe looks at and gives, and the tables of recipes and of what a task asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from plait.registry import Registry
from plait.settings import RunSettings

MIN_STEPS_PER_EPOCH = 20
MANY_ROWS = 5000
FEW_EPOCHS, FEWEST_STEPS = 6, 500  # over tokens of many rows (docs/LOG.md)
APART = {"modality_dropout": 0.1, "modality_dropout_pattern": "independent"}
SUBSETS = {"modality_dropout": 0.3, "modality_dropout_pattern": "subset"}
NOTHING_HIDDEN = {"modality_dropout": 0.0, "modality_dropout_pattern": "independent"}
NO_OBJECTIVES = {
    "alignment": 0.0, "auxiliary": 0.0, "gradient_blending": False, "ogm": 0.0, "orthogonality": 0.0, "opm": 0.0,
    "umt": 0.0, "mmpareto": 0.0, "comm": 0.0, "lemda": 0.0,
}  # fmt: skip

Choices = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What a recipe may look at: task, kinds of the modalities, number of training rows, photo size."""

    task: str
    kinds: tuple[str, ...]
    num_train: int
    photo_side: int | None = None


Recipe = Callable[[Facts], Choices]
RECIPES: Registry[Recipe] = Registry("recipe")


def _no_choice(chosen: Choices, facts: Facts) -> None:
    """Nothing of its own."""


def _no_check(settings: RunSettings, chosen: Choices) -> None:
    """Nothing to refuse or to adapt."""


def _nothing_fixed(settings: RunSettings) -> Choices:
    return {}


@dataclass(frozen=True)
class TaskChoices:
    """What a task asks of every recipe.

    Attributes:
        choose: Changes the default choices in place.
        adapt: Refuses user settings that do not go with the task, and changes choices that hang on them, in place.
        fix: Settings by group that the task needs whatever a recipe says.
    """

    choose: Callable[[Choices, Facts], None] = _no_choice
    adapt: Callable[[RunSettings, Choices], None] = _no_check
    fix: Callable[[RunSettings], Choices] = _nothing_fixed


TASK_CHOICES: Registry[TaskChoices] = Registry("task with choices of its own")


def few_epochs(num_train: int) -> dict[str, Any]:
    """Training settings of a fusion of tokens on many rows: six epochs, in batches that leave 500 steps."""
    return {
        "epochs": FEW_EPOCHS, "patience": 2, "min_steps": FEWEST_STEPS,
        "batch_size": small_batch(num_train, 256, ceil(FEWEST_STEPS / FEW_EPOCHS)),
    }  # fmt: skip


def small_batch(num_train: int, largest: int, steps: int = MIN_STEPS_PER_EPOCH) -> int:
    """A batch size that leaves an epoch at least so many steps, between 8 and ``largest``.

    A fixed large batch starves small tables of steps: 160 rows in batches of 128 are two steps an epoch.
    """
    size = 8
    while size * 2 <= largest and num_train / (size * 2) >= steps:
        size *= 2
    return size
