"""What a teacher is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.ensemble.glm import Stops, never
from plait.ensemble.linear import RowFeatures
from plait.ensemble.scale import AnswerScale
from plait.registry import Registry
from plait.settings import UnlabelledSettings


@dataclass(frozen=True)
class Lesson:
    """What a teacher may look at: labelled training rows, dealt into folds, and unlabelled rows.

    Attributes:
        labelled: Training rows, T of them.
        unlabelled: Their targets are fillers, which nobody reads; U of them.
        folds: Positions among the T rows that teach, and those that check it.
        names: Of the modalities with plain features, by number.
        num_outputs: C.
        scale: The family's.
        one_class: Whether one of several classes is right.
        settings: How unlabelled rows teach.
        seed: Of the run.
        stops: Asked between steps of a fit; True: the time is over.
    """

    labelled: RowFeatures
    unlabelled: RowFeatures
    folds: Sequence[tuple[np.ndarray, np.ndarray]]
    names: dict[int, str]
    num_outputs: int
    scale: AnswerScale
    one_class: bool
    settings: UnlabelledSettings
    seed: int
    stops: Stops = never


@dataclass(frozen=True)
class Taught:
    """Answers of a teacher, in the scale of the outputs (probabilities, numbers in their unit).

    Attributes:
        held_out_TC: To labelled rows by the models that had not seen them; NaN where there is none.
        outputs_UC: To unlabelled rows; NaN where there is none.
        facts: What was chosen.
    """

    held_out_TC: np.ndarray  # noqa: N815  shape letters
    outputs_UC: np.ndarray  # noqa: N815
    facts: dict[str, Any]


@dataclass(frozen=True)
class Teacher:
    """A teacher by name.

    Attributes:
        teach: From a lesson to answers; None where it cannot learn from these rows.
        modalities: Modalities with plain features that it needs.
    """

    teach: Callable[[Lesson], Taught | None]
    modalities: int = 1


TEACHERS: Registry[Teacher] = Registry("teacher of unlabelled rows")


def rows_of(features: RowFeatures, chosen: np.ndarray, target: np.ndarray | None = None) -> RowFeatures:
    """Some rows, with targets of their own or those of the pseudo-labels."""
    parts = {m: part[chosen] for m, part in features.parts.items()}
    return RowFeatures(parts, features.present_NM[chosen], features.target[chosen] if target is None else target)


def both(first: RowFeatures, second: RowFeatures) -> RowFeatures:
    """The rows of two, one behind the other."""
    return RowFeatures(
        {m: np.concatenate([first.parts[m], second.parts[m]]) for m in first.parts},
        np.concatenate([first.present_NM, second.present_NM]), np.concatenate([first.target, second.target]),
    )  # fmt: skip
