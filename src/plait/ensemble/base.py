"""What a member of an ensemble is: something that answers rows from some of their modalities.

In: a batch as a model takes it, and what may be seen of each row. Out: outputs in the task's own scale (probabilities
that sum to one, probabilities of labels, or numbers in their unit), [B, C] float64. A member sees nothing of a modality
that is missing: its content never changes the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

Inputs = dict[str, dict[str, Tensor]]
FUSED = "fused"  # the name of the network that a run fuses modalities with


@dataclass(frozen=True)
class MemberFacts:
    """What is told of a member.

    Attributes:
        name: Its name, unique in the ensemble: "fused", "text alone", "linear of image".
        kind: "network", "prototypes", "linear", "ngrams" or "trees".
        uses: Modalities it reads.
        seconds: Seconds it took to fit.
        megabytes: Megabytes of its weights.
        details: What was chosen for it (penalty, iterations, seed).
        validation: Its primary metric on the rows that chose among members, with everything there; None where it is
            undefined.
    """

    name: str
    kind: str
    uses: tuple[str, ...]
    seconds: float
    megabytes: float
    details: dict[str, Any]
    validation: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "name": self.name, "kind": self.kind, "uses": list(self.uses), "seconds": round(self.seconds, 2),
            "megabytes": round(self.megabytes, 2), "details": self.details, "validation": self.validation,
        }  # fmt: skip

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> MemberFacts:
        """From plain values."""
        value = entry["validation"]
        return cls(
            str(entry["name"]), str(entry["kind"]), tuple(entry["uses"]), float(entry["seconds"]),
            float(entry["megabytes"]), dict(entry["details"]), None if value is None else float(value),
        )  # fmt: skip


SIMPLICITY = {"prototypes": 0, "linear": 1, "ngrams": 2, "trees": 3, "network": 4}  # ties go to the first


class Member(nn.Module):
    """Base of all members.

    Attributes:
        uses: Numbers of the modalities it reads, in the model's order.
    """

    uses: tuple[int, ...]

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Outputs [B, C].

        Args:
            inputs: The batch, by modality name.
            encoded: What ``prepare`` returned for this batch.
            present_BM: What may be seen, bool, all modalities in the model's order.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """What ``from_config`` of its kind takes, for members that are no networks."""
        raise NotImplementedError

    @property
    def parts(self) -> list[Member]:
        """The models it is made of; itself, where it is one."""
        return [self]

    def prepare(self, inputs: Inputs, present_BM: Tensor) -> Any:
        """What must be computed once a batch, whatever pattern of presence is asked for afterwards."""
        return None


class Bag(Member):
    """The mean of several models of one kind, each of which has not seen another part of the rows."""

    def __init__(self, models: Sequence[Member]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.uses = models[0].uses

    @property
    def parts(self) -> list[Member]:
        """One model a fold."""
        return [cast(Member, m) for m in self.models]

    def prepare(self, inputs: Inputs, present_BM: Tensor) -> list[Any]:
        """That of each model."""
        return [cast(Member, m).prepare(inputs, present_BM) for m in self.models]

    def outputs(self, inputs: Inputs, encoded: list[Any], present_BM: Tensor) -> np.ndarray:
        """Mean outputs [B, C]."""
        made = [cast(Member, m).outputs(inputs, e, present_BM) for m, e in zip(self.models, encoded, strict=True)]
        return np.asarray(np.mean(made, axis=0))


def megabytes_of(module: nn.Module) -> float:
    """Megabytes of parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(t.nbytes for t in tensors) / 1e6
