"""All objectives of one model in one module; the model calls it after encoding, on its loss and before a step.

It holds what the objectives train (adapters, auxiliary heads, projections) and nothing else; the mathematics lies in
the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims
from plait.heads.temperature import keep_below_ceiling
from plait.objectives.adapters import Adapter, adapt
from plait.objectives.alignment import Alignment
from plait.objectives.auxiliary import AuxiliaryHeads
from plait.objectives.base import check_objectives
from plait.objectives.blending import GradientBlending
from plait.objectives.modulation import GradientModulation
from plait.objectives.orthogonality import orthogonality
from plait.tasks import Task


class AuxiliaryObjectives(nn.Module):
    """The objectives that are on.

    Args:
        dims: Widths of each modality, in model order.
        chosen: Strength by name, as :func:`plait.objectives.chosen_objectives` gives it.
        task: The task.
        num_outputs: Number of classes, of labels, or 1 for a number.
        width: Width of the space in which ``alignment`` compares.

    Raises:
        ValueError: An objective is unknown or cannot work here.
    """

    def __init__(
        self, dims: list[EncodedDims], chosen: dict[str, float], *, task: Task, num_outputs: int, width: int
    ) -> None:
        super().__init__()
        check_objectives(chosen, task=task, num_modalities=len(dims))
        self.strength = {name: chosen.get(name, 0.0) for name in ("auxiliary", "alignment", "orthogonality")}
        self.right_only = task.judges_pairs  # what a wrong pair holds does not belong together
        self.adapters = nn.ModuleList(Adapter(d.vector_dim) for d in dims)
        with_heads = chosen.keys() & {"auxiliary", "gradient_blending", "ogm"}
        self.auxiliary = AuxiliaryHeads(dims, num_outputs) if with_heads else None
        self.blending = GradientBlending(len(dims)) if "gradient_blending" in chosen else None
        self.alignment = Alignment(dims, width) if "alignment" in chosen else None
        self.modulation = GradientModulation(chosen["ogm"], noise="ogm_noise" in chosen) if "ogm" in chosen else None

    def adapt(self, encoded: list[Encoded], present_BM: Tensor | None) -> list[Encoded]:
        """Encoded modalities with adapted vectors."""
        return adapt(self.adapters, encoded, present_BM)

    def forward(
        self,
        joint: Tensor,
        encoded: list[Encoded],
        present_BM: Tensor,
        target: Tensor,
        group_B: Tensor | None,
        key_BM: Tensor | None,
        losses: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """The training loss.

        Args:
            joint: Loss of the joint answer.
            encoded: Adapted modalities.
            present_BM: What is there, whatever modality dropout hides from the fusion.
            target: Encoded targets.
            group_B: Group number of each row, or None: no alignment.
            key_BM: Item number of each modality of each row, or None: no alignment.
            losses: Answers of each modality alone [B, M, C] to their task losses [M].
        """
        vectors = [e.vector_BD for e in encoded]
        loss = joint if self.auxiliary is None else self._with_heads(joint, vectors, present_BM, target, losses)
        if self.alignment is not None and group_B is not None and key_BM is not None:
            paired_BM = present_BM & (target == 1)[:, None] if self.right_only else present_BM
            term = self.alignment(vectors, paired_BM, group_B, key_BM)
            loss = loss if term is None else loss + self.strength["alignment"] * term
        if self.strength["orthogonality"] > 0:
            term = orthogonality(vectors, present_BM)
            loss = loss if term is None else loss + self.strength["orthogonality"] * term
        return loss

    def _with_heads(
        self,
        joint: Tensor,
        vectors: list[Tensor],
        present_BM: Tensor,
        target: Tensor,
        losses: Callable[[Tensor], Tensor],
    ) -> Tensor:
        assert self.auxiliary is not None
        teaching = self.blending is not None or self.strength["auxiliary"] > 0
        answers_BMC = self.auxiliary(vectors if teaching else [v.detach() for v in vectors])
        losses_M = losses(answers_BMC)
        if self.modulation is not None:
            self.modulation.measure(answers_BMC, present_BM, target)
        if self.blending is not None:
            blended: Tensor = self.blending(losses_M, joint)
            return blended
        if teaching:
            return joint + self.strength["auxiliary"] * losses_M.mean()
        probe = losses_M.mean()  # ogm alone: the heads learn, and neither the vectors nor the shown loss know of it
        return joint + (probe - probe.detach())

    def before_step(self, encoders: Mapping[str, nn.Module]) -> None:
        """To be called between backward and the optimizer's step, and ``after_step`` right after it.

        Args:
            encoders: Encoders inside the model that belong to one modality alone, by its number as text.
        """
        if self.modulation is not None:
            owned = [[*a.parameters(), *_inside(encoders, m)] for m, a in enumerate(self.adapters)]
            self.modulation.before_step([*owned])

    def after_step(self) -> None:
        """Slow the step that the optimizer has made, and bring the temperature back under its ceiling."""
        if self.modulation is not None:
            self.modulation.after_step()
        if self.alignment is not None:
            keep_below_ceiling(self.alignment.log_temperature)


def _inside(encoders: Mapping[str, nn.Module], number: int) -> list[nn.Parameter]:
    return list(encoders[str(number)].parameters()) if str(number) in encoders else []
