"""What a teacher is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.ensemble.features import MOST_LINEAR_ROWS
from plait.ensemble.glm import Stops, never
from plait.ensemble.linear import RowFeatures
from plait.ensemble.scale import AnswerScale
from plait.registry import Registry
from plait.settings import UnlabelledSettings
from plait.training.unlabelled.rows import PseudoLabels

Network = Callable[[np.ndarray, np.ndarray, "Taught | None", int, int], tuple[np.ndarray, np.ndarray] | None]
Fits = Callable[[np.ndarray, np.ndarray, PseudoLabels | None, int, int], tuple[np.ndarray, np.ndarray]]


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
        network: Trains a network like that of the run. It takes places among the T rows that teach, those that it shall
            answer [A], what teaches the unlabelled rows (None: nothing does), its number, and how many there are in
            all; it gives the answers to these [A, C] and to the unlabelled rows [U, C], or None where what teaches
            them is of no use. None: there is none, and no teacher asks for it.
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
    network: Network | None = None
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
        modalities: Modalities with plain features that it needs; 0: it reads what the network reads.
        networks: From folds and rounds to what it takes, in trainings of the network of the run; None: seconds.
        all_teach: Whether every unlabelled row teaches by how sure its answer is, so that no threshold cuts any off.
    """

    teach: Callable[[Lesson], Taught | None]
    modalities: int = 1
    all_teach: bool = False
    networks: Callable[[int, int], float] | None = None


FEWEST_TEACHING = 1000  # rows that teach, however wide their features are
MOST_WORK = 100_000_000  # rows times weights of a teacher
MOST_OF_A_ROW = 0.25  # weight of a sure pseudo-label beside that of a label
MOST_OF_ALL = 2.0  # weight of all pseudo-labels together, in labelled rows

TEACHERS: Registry[Teacher] = Registry("teacher of unlabelled rows")


def rows_of(features: RowFeatures, chosen: np.ndarray, target: np.ndarray | None = None) -> RowFeatures:
    """Some rows, with targets of their own or those of the pseudo-labels."""
    parts = {m: part[chosen] for m, part in features.parts.items()}
    weight_N = None if features.weight_N is None else features.weight_N[chosen]
    return RowFeatures(
        parts, features.present_NM[chosen], features.target[chosen] if target is None else target, weight_N
    )


def both(first: RowFeatures, second: RowFeatures) -> RowFeatures:
    """The rows of two, one behind the other."""
    weights = [np.ones(len(r.target)) if r.weight_N is None else r.weight_N for r in (first, second)]
    return RowFeatures(
        {m: np.concatenate([first.parts[m], second.parts[m]]) for m in first.parts},
        np.concatenate([first.present_NM, second.present_NM]), np.concatenate([first.target, second.target]),
        None if first.weight_N is None and second.weight_N is None else np.concatenate(weights),
    )  # fmt: skip


def shared_weight(sure_U: np.ndarray, labelled: int) -> np.ndarray:
    """Weights of pseudo-labels beside labelled rows of weight one [U]: by how sure each is, all together bounded.

    Args:
        sure_U: How sure each is, in [0, 1] or of mean one.
        labelled: Labelled rows, T.

    Example:
        >>> shared_weight(np.array([1.0, 0.5]), 10).tolist(), shared_weight(np.full(1000, 0.5), 10).sum().round(6)
        ([0.25, 0.125], 20.0)
    """
    total = MOST_OF_A_ROW * float(sure_U.sum())
    most = MOST_OF_ALL * labelled
    return MOST_OF_A_ROW * sure_U * (min(1.0, most / total) if total > 0 else 1.0)


def most_rows(features: RowFeatures, num_outputs: int) -> int:
    """Rows of which a linear model is fitted in seconds."""
    weights = sum(int(part.shape[1]) for part in features.parts.values()) * num_outputs
    return min(MOST_LINEAR_ROWS, max(FEWEST_TEACHING, MOST_WORK // max(1, weights)))
