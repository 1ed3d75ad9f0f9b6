"""All objectives of one model in one module; the model calls it after encoding, on its loss and before a step.

It holds what the objectives train (adapters, auxiliary heads, projections) and nothing else; the mathematics lies in
the files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims
from plait.heads.temperature import keep_below_ceiling
from plait.objectives.adapters import Adapter, adapt
from plait.objectives.alignment import Alignment
from plait.objectives.auxiliary import AuxiliaryHeads
from plait.objectives.base import check_objectives
from plait.objectives.blending import GradientBlending
from plait.objectives.hiding import PredictionModulation
from plait.objectives.learned_augmentation import LearnedAugmentation
from plait.objectives.modulation import GradientModulation
from plait.objectives.multimodal_contrast import MultimodalContrast
from plait.objectives.orthogonality import orthogonality
from plait.objectives.pareto import ParetoGradients
from plait.objectives.step import Step
from plait.objectives.teachers import UnimodalTeachers
from plait.tasks import Task

WITH_HEADS = {"auxiliary", "gradient_blending", "mmpareto", "ogm", "opm"}


class AuxiliaryObjectives(nn.Module):
    """The objectives that are on.

    Args:
        dims: Widths of each modality, in model order; of one alone, a teacher, which has an adapter and nothing else.
        chosen: Strength by name, as :func:`plait.objectives.chosen_objectives` gives it.
        task: The task.
        num_outputs: Number of classes, of labels, or 1 for a number.
        width: Width of the fused vector, and of the space in which ``alignment`` compares.
        is_late: Whether the fusion joins answers.
        reads_tokens: Whether the fusion reads tokens.

    Raises:
        ValueError: An objective is unknown or cannot work here.
    """

    def __init__(
        self,
        dims: list[EncodedDims],
        chosen: dict[str, float],
        *,
        task: Task,
        num_outputs: int,
        width: int,
        is_late: bool = False,
        reads_tokens: bool = False,
    ) -> None:
        super().__init__()
        if len(dims) == 1 and set(chosen) == {"umt"}:
            chosen = {}
        facts = {"num_modalities": len(dims), "is_late": is_late, "reads_tokens": reads_tokens}
        check_objectives(chosen, task=task, **facts)
        self.strength = {name: chosen.get(name, 0.0) for name in ("auxiliary", "alignment", "orthogonality", "comm")}
        self.right_only = task.judges_pairs  # what a wrong pair holds does not belong together
        self.adapters = nn.ModuleList(Adapter(d.vector_dim) for d in dims)
        self.auxiliary = AuxiliaryHeads(dims, num_outputs) if chosen.keys() & WITH_HEADS else None
        self.blending = GradientBlending(len(dims)) if "gradient_blending" in chosen else None
        self.alignment = Alignment(dims, width) if "alignment" in chosen else None
        self.contrast = MultimodalContrast(width) if "comm" in chosen else None
        self.modulation = GradientModulation(chosen["ogm"], noise="ogm_noise" in chosen) if "ogm" in chosen else None
        self.hiding = PredictionModulation(chosen["opm"]) if "opm" in chosen else None
        self.teachers = UnimodalTeachers(chosen["umt"]) if "umt" in chosen else None
        self.learned = (
            LearnedAugmentation([d.vector_dim for d in dims], chosen["lemda"], task.output_kind)
            if "lemda" in chosen
            else None
        )
        self.pareto = ParetoGradients(chosen["mmpareto"]) if "mmpareto" in chosen else None

    def adapt(self, encoded: list[Encoded], present_BM: Tensor | None) -> list[Encoded]:
        """Encoded modalities with adapted vectors."""
        return adapt(self.adapters, encoded, present_BM)

    def hide(self, encoded: list[Encoded], there_BM: Tensor, present_BM: Tensor, target: Tensor) -> Tensor:
        """What the fusion may see in this training step [B, M], of what modality dropout has left (``present_BM``)."""
        if self.hiding is None:
            return present_BM
        assert self.auxiliary is not None
        with torch.no_grad():
            answers_BMC = self.auxiliary([e.vector_BD for e in encoded])
        return self.hiding.hide(answers_BMC, there_BM, present_BM, target)

    def forward(self, joint: Tensor, step: Step) -> Tensor:
        """The training loss.

        Args:
            joint: Loss of the joint answer.
            step: The batch.
        """
        vectors, losses_M = step.vectors, None
        loss = joint
        if self.auxiliary is not None:
            loss, losses_M = self._with_heads(joint, step)
        paired_BM = step.present_BM & (step.target == 1)[:, None] if self.right_only else step.present_BM
        if step.group_B is not None and step.key_BM is not None:
            if self.alignment is not None:
                term = self.alignment(vectors, paired_BM, step.group_B, step.key_BM)
                loss = loss if term is None else loss + self.strength["alignment"] * term
            if self.contrast is not None:
                term = self.contrast(step, paired_BM)
                loss = loss if term is None else loss + self.strength["comm"] * term
        if self.strength["orthogonality"] > 0:
            term = orthogonality(vectors, step.present_BM)
            loss = loss if term is None else loss + self.strength["orthogonality"] * term
        if self.teachers is not None:
            term = self.teachers(vectors, step.present_BM, step.rows_B)
            loss = loss if term is None else loss + term
        if self.learned is not None and torch.is_grad_enabled():
            loss = loss + self.learned(step)
        if self.pareto is not None and torch.is_grad_enabled():
            assert losses_M is not None
            self.pareto.measure(loss, losses_M, self._owned(step.encoders))
        return loss

    def _with_heads(self, joint: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """The loss with those of the modalities, and these [M]."""
        assert self.auxiliary is not None
        teaching = self.blending is not None or self.pareto is not None or self.strength["auxiliary"] > 0
        answers_BMC = self.auxiliary(step.vectors if teaching else [v.detach() for v in step.vectors])
        losses_M = step.losses(answers_BMC)
        if self.modulation is not None:
            self.modulation.measure(answers_BMC, step.present_BM, step.target)
        if self.blending is not None:
            return self.blending(losses_M, joint), losses_M
        if self.pareto is not None:
            return joint + losses_M.sum(), losses_M
        if teaching:
            return joint + self.strength["auxiliary"] * losses_M.mean(), losses_M
        probe = losses_M.mean()  # ogm and opm: the heads learn, and neither the vectors nor the shown loss know of it
        return joint + (probe - probe.detach()), losses_M

    def before_step(self, encoders: Mapping[str, nn.Module]) -> None:
        """To be called between backward and the optimizer's step, and ``after_step`` right after it.

        Args:
            encoders: Encoders inside the model that belong to one modality alone, by its number as text.
        """
        if self.modulation is not None:
            self.modulation.before_step([*self._owned(encoders)])
        if self.pareto is not None:
            self.pareto.before_step(self._owned(encoders))

    def after_step(self) -> None:
        """Change the length of the step that the optimizer has made, and bring the temperature under its ceiling."""
        if self.modulation is not None:
            self.modulation.after_step()
        if self.pareto is not None:
            self.pareto.after_step()
        if self.alignment is not None:
            keep_below_ceiling(self.alignment.log_temperature)

    def _owned(self, encoders: Mapping[str, nn.Module]) -> list[list[nn.Parameter]]:
        """Trained parameters of each modality alone: its adapter, and its encoder where that is inside the model."""
        inside = [encoders[str(m)].parameters() if str(m) in encoders else () for m in range(len(self.adapters))]
        return [
            [p for p in (*adapter.parameters(), *more) if p.requires_grad]
            for adapter, more in zip(self.adapters, inside, strict=True)
        ]
