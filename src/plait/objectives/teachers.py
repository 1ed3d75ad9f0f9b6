"""Unimodal teachers (UMT): each modality's features stay near those of a network trained on that modality alone."""

from __future__ import annotations

from torch import Tensor

from plait.objectives.base import OBJECTIVES, ObjectiveInfo


class UnimodalTeachers:
    """L = L_joint + lambda sum_m mean ||x'_m - t_m||^2 / D_m over the rows that have m.

    x'_m is the adapted vector of modality m (and its encoder's, where that is trained), t_m what the network of that
    modality alone made of the same row, trained first by the same recipe and then fixed: these networks are the
    unimodal baselines of the report, which have an adapter of their own for that. A modality that the joint answer
    can do without keeps so the features that it has alone. Baselines that are not wanted are trained all the same.

    Args:
        strength: lambda.

    Needs: two modalities; a task in which one modality alone can be trained (not matching).
    When to use: a modality does well alone and adds little in the joint model, and time for the teachers is there.
    Relatives: ``auxiliary`` asks each modality for an answer while the joint model learns, at no cost.
    Reference: Du, Teng, Li, Liu, Yuan, Wang, Yuan, Zhao 2023 (on uni-modal feature learning, ICML).
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.vectors: list[Tensor] = []

    def learn_from(self, vectors: list[Tensor]) -> None:
        """Take what the teachers made of all training rows, [N, D_m] a modality in model order."""
        self.vectors = [v.detach().cpu() for v in vectors]

    def forget(self) -> None:
        """Training is over."""
        self.vectors = []

    def __call__(self, vectors: list[Tensor], present_BM: Tensor, rows_B: Tensor | None) -> Tensor | None:
        """The term, weighed, a scalar; None without teachers or row numbers."""
        if not self.vectors or rows_B is None:
            return None
        total = vectors[0].new_zeros(())
        for m, vector_BD in enumerate(vectors):
            taught_BD = self.vectors[m][rows_B.cpu()].to(vector_BD)
            there_B = present_BM[:, m].to(vector_BD.dtype)
            apart_B = ((vector_BD - taught_BD) ** 2).mean(1) * there_B
            total = total + apart_B.sum() / there_B.sum().clamp(min=1.0)
        return self.strength * total


OBJECTIVES.add(
    "umt",
    ObjectiveInfo("umt", "Du et al. 2023", "L = L_joint + lambda sum_m ||x_m - teacher_m||^2 / D_m", alone=True),
)
