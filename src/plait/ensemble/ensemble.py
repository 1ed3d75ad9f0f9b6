"""The ensemble: members, and for every pattern of what is there the weights that suit it.

It stands where a network stands: it takes batches of all modalities with what is present and gives logits, from which
the task's ``activate`` makes the averaged outputs. A row is answered by the members chosen for what it has; one
that has nothing by the shares of classes, or the mean, of training rows, most by those that lack something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.ensemble.averaging import Average
from plait.ensemble.base import Inputs, Member, MemberFacts
from plait.ensemble.network import NetworkMember
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import Pattern
from plait.tasks import LabelState, Task


class Ensemble(nn.Module):
    """See the module.

    Args:
        members: What answers.
        facts: What is told of each.
        names: Modalities in model order.
        patterns: Patterns of presence that weights are known for, everything first.
        averages: What answers each pattern.
        task: The task.
        labels: Its label state.
        nothing: Outputs of a row that has nothing [C]; None: the members chosen for everything answer it.
        judges: Rows of the training table that chose the weights, where it was fitted just now.
        notes: What is to be told of the choice.

    Attributes:
        config: ``num_outputs`` and ``modality_names``, as of a network.
        weights_PK: Weight of each member under each pattern; rows add up to one.
        temperature_P: Temperature of each average.
        best_P: The best single member of each pattern, on the rows that chose.
    """

    def __init__(
        self, members: Sequence[Member], facts: Sequence[MemberFacts], names: Sequence[str],
        patterns: Sequence[Pattern], averages: Sequence[Average], task: Task, labels: LabelState,
        *, nothing: np.ndarray | None = None, judges: np.ndarray | None = None, notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.members = nn.ModuleList(members)
        self.facts, self.names, self.patterns = list(facts), tuple(names), [tuple(p) for p in patterns]
        self.weights_PK = np.stack([a.weights for a in averages])
        self.temperature_P = np.array([a.temperature for a in averages])
        self.best_P = np.array([a.best for a in averages], dtype=np.int64)
        self.task, self.labels = task, labels
        self.nothing = nothing
        self.judges, self.notes = judges, list(notes)
        self.config = SimpleNamespace(num_outputs=labels.num_outputs, modality_names=list(names))
        for number, member in enumerate(self.networks):
            member.mark = f"{number}:"
        self.register_buffer("place", torch.zeros(1), persistent=False)  # says which device it is on
        self._row_of_code: dict[int, int] = {}
        self.eval()  # members are trained already

    def encode(self, inputs: Inputs, present: Tensor, *, every_member: bool = False) -> tuple[Inputs, list[Any]]:
        """What is computed once a batch, for the members that have a weight or for every one."""
        used = (self.weights_PK.max(axis=0) > 0) | every_member
        made = [m.prepare(inputs, present) if used[k] else None for k, m in enumerate(self.listed)]
        return inputs, made

    def answer(self, encoded: tuple[Inputs, list[Any]], present_BM: Tensor) -> Tensor:
        """Logits [B, C] of an encoded batch under what may be seen of it."""
        assert self.task.inverse is not None
        return torch.from_numpy(self.task.inverse(self.outputs(encoded, present_BM), self.labels))

    def outputs(self, encoded: tuple[Inputs, list[Any]], present_BM: Tensor) -> np.ndarray:
        """Averaged outputs [B, C]."""
        inputs, made = encoded
        return self.average(lambda k: self.listed[k].outputs(inputs, made[k], present_BM), present_BM)

    def average(self, answer_of: Callable[[int], np.ndarray], present_BM: Tensor) -> np.ndarray:
        """Averaged outputs [B, C], from the number of a member to its outputs; those without weight are not asked."""
        there_BM = present_BM.cpu().numpy()
        row_B = self.rows_of(there_BM)
        weights_BK = self.weights_PK[row_B]
        total = np.zeros((len(present_BM), self.labels.num_outputs))
        for k in np.flatnonzero(weights_BK.max(axis=0, initial=0.0) > 0):
            rows = np.flatnonzero(weights_BK[:, k] > 0)
            total[rows] += weights_BK[rows, k, None] * answer_of(int(k))[rows]
        found = SCALES.get(self.task.output_kind).temper(total, self.temperature_P[row_B, None])
        return found if self.nothing is None else np.where(there_BM.any(1)[:, None], found, self.nothing)

    def forward(self, inputs: Inputs, present: Tensor) -> dict[str, Tensor]:
        """``logits`` [B, C] of a batch."""
        return {"logits": self.answer(self.encode(inputs, present), present)}

    def rows_of(self, present_BM: np.ndarray) -> np.ndarray:
        """Which row of the weights answers each row [B]."""
        code_B = present_BM.astype(np.int64) @ (2 ** np.arange(present_BM.shape[1], dtype=np.int64))
        unique, place_B = np.unique(code_B, return_inverse=True)
        return np.array([self._row(int(code)) for code in unique], dtype=np.int64)[place_B]

    def _row(self, code: int) -> int:
        """The weights of a pattern, or of the nearest known one, which should need nothing that is missing."""
        if code not in self._row_of_code:
            there = np.array([bool(code >> m & 1) for m in range(len(self.names))])
            known = np.array(self.patterns, dtype=bool)
            lacking, unused = (known & ~there).sum(1), (~known & there).sum(1)
            self._row_of_code[code] = 0 if not there.any() else int(np.argmin(lacking * 100 + unused))
        return self._row_of_code[code]

    @property
    def has_folds(self) -> bool:
        """Whether members are a model a fold, so that the validation rows of the run trained most of these models."""
        return any(int(one.details.get("folds", 1)) > 1 for one in self.facts)

    def reads(self, present_NM: np.ndarray) -> tuple[str, ...]:
        """Names of the modalities that any of the members read which answer these rows."""
        rows = np.unique(self.rows_of(present_NM))
        weights_K = self.weights_PK[rows].max(axis=0, initial=0.0)
        used = {name for k in np.flatnonzero(weights_K > 0) for name in self.facts[k].uses}
        return tuple(name for name in self.names if name in used)

    @property
    def networks(self) -> list[NetworkMember]:
        """The trained networks among the members, those of every fold."""
        return [module for module in self.modules() if isinstance(module, NetworkMember)]

    @property
    def listed(self) -> list[Member]:
        """The members."""
        return [cast(Member, member) for member in self.members]

    def leaderboard(self) -> list[dict[str, Any]]:
        """Facts of each member with its weight where everything is there, and whether any pattern uses it."""
        used_K = (np.asarray(self.weights_PK) > 0).any(0)
        return [
            {**facts.to_json(), "weight": float(weight), "status": "used" if used else "not chosen"}
            for facts, weight, used in zip(self.facts, self.weights_PK[0], used_K, strict=True)
        ]
