"""Settings of learning from rows without a target: by which method, and how surely a row must be answered to teach."""

from __future__ import annotations

from dataclasses import dataclass

from plait.settings.ranges import at_least, below_one, between, choice, up_to_one

NO_METHOD = "none"
STUDENT = "noisy_student"  # networks like the one that is trained give pseudo-labels, and then learn from them
TEACHERS = ("self_training", "co_training", "propagation", "knn", STUDENT)  # give fixed pseudo-labels
CONSISTENCY = ("fixmatch", "flexmatch", "mean_teacher")  # the network agrees with itself, step by step
TRANSPORT = "transport"  # sides that stand alone are joined to pairs in closed form (retrieval)
SEMI_METHODS = (*TEACHERS, *CONSISTENCY, TRANSPORT, NO_METHOD)


@dataclass(frozen=True)
class UnlabelledSettings:
    """How rows without a target teach; they are in no supervised loss, and judge nothing."""

    method: str | None = choice(None, SEMI_METHODS)
    """self_training, co_training, propagation, knn, noisy_student, fixmatch, flexmatch, mean_teacher, transport
    (retrieval) or none;
    None: where there are unlabelled rows propagation for classes, self_training for label sets and numbers and
    transport for retrieval, else none.
    """
    precision: float = between(0.8, 0.0, 1.0)
    """Share of right pseudo-labels that the threshold must reach on labelled rows which a teacher has not seen.
    propagation and noisy_student have no threshold: every row counts by how sure its pseudo-label is.
    """
    threshold: float | None = up_to_one(None)
    """Confidence from which a pseudo-label counts, in (0, 1]; None: calibrated (teachers), none (propagation,
    noisy_student), 0.95 (fixmatch, flexmatch).
    """
    weight: float = up_to_one(1.0)
    """Weight of the unlabelled term beside the supervised loss, in (0, 1]."""
    rounds: int = at_least(2, 0)
    """Rounds after the first in which teachers learn from their own, or from each other's, pseudo-labels."""
    ratio: int = at_least(3, 1)
    """Unlabelled rows in a step, in multiples of its labelled rows."""
    noise: float = between(0.3, 0.0, 10.0)
    """Noise on stored vectors of the strong view, in standard deviations of each feature."""
    hidden: float = below_one(0.3, 0.0)
    """Probability that the strong view hides a modality, in [0, 1), never all of them."""
    decay: float = below_one(0.99, 0.0)
    """Decay of the averaged weights that teach under mean_teacher, in [0, 1)."""
