"""What unlabelled rows add to the loss of a step; the supervised loss is computed before, on labelled rows alone.

    teachers                      mean_u w_u loss(f(x_u), y_u)                     y_u, w_u: a teacher's, fixed
    fixmatch, flexmatch           mean_u 1[max q_u >= T] loss(f(strong x_u), argmax q_u)         q_u = softmax f(x_u)
    mean_teacher                  r(t) mean_u |p(strong x_u) - p'(x_u)|^2         p': by averaged weights

Reference: Sohn et al. 2020 (FixMatch), equation 4; Zhang et al. 2021 (FlexMatch), equation 7; Tarvainen and Valpola
2017 (Mean teachers), section 3 with the ramp of their appendix; Blum and Mitchell 1998 (co-training), where modalities
are the views that teach each other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.inference.forward import evaluation_mode, to_device
from plait.inputs.dataset import RowBatches, Source
from plait.model import PlaitModel
from plait.settings.unlabelled import CONSISTENCY, TEACHERS, TRANSPORT
from plait.training.averaging import WeightAverage
from plait.training.plan import Plan
from plait.training.unlabelled.curriculum import NONE_YET, flexible_thresholds
from plait.training.unlabelled.draws import has_strong_view, rows_of_step, strong_view
from plait.training.unlabelled.rows import UnlabelledRows

USUAL_THRESHOLD = 0.95  # of fixmatch and flexmatch, as in the papers
RAMP = 0.4  # of all steps, over which mean_teacher's weight rises


class UnlabelledTerm:
    """The term of one network.

    Args:
        plan: What is trained on what, with unlabelled rows.
        sources: Of the network's modalities.
        index_NM: Items of all rows of the table.
        steps: Steps of the whole training.

    Attributes:
        average: Averaged weights, the teacher under mean_teacher; set by the trainer.
        epoch: Counted from 0; set by the trainer.
    """

    def __init__(self, plan: Plan, sources: dict[str, Source], index_NM: np.ndarray, steps: int) -> None:
        unlabelled = plan.unlabelled
        assert unlabelled is not None
        self.plan, self.sources, self.settings = plan, sources, unlabelled.settings
        self.method = str(self.settings.method)
        chosen = (index_NM[unlabelled.positions] >= 0).any(axis=1)
        self.target: np.ndarray | None = None
        if self.method in TEACHERS:
            given = unlabelled.pseudo_labels(plan.train)
            chosen &= given.weight_U > 0
            self.target, self.weight_R = given.target[chosen], given.weight_U[chosen]
        self.truth_R, self.known_R = unlabelled.truth[chosen], unlabelled.known_U[chosen]
        positions = unlabelled.positions[chosen]
        self.rows = RowBatches(sources, index_NM[positions])
        self.shown = self.rows
        if plan.views is not None:  # a strong view is never the row itself, which is the weak one
            views = plan.views if self.target is not None else replace(plan.views, shows_itself=False, _drawn=None)
            self.shown = self.rows.with_views(views, positions)
        self.last_R = np.full(len(positions), NONE_YET, dtype=np.int64)
        self.steps, self.step, self.epoch = max(1, steps), 0, 0
        self.average: WeightAverage | None = None
        self._sure = self._asked = self._right = self._judged = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, model: PlaitModel, labelled: int) -> Tensor | None:
        """The weighted term of this step; None where no row takes part.

        Args:
            model: In training mode.
            labelled: Labelled rows of the step.
        """
        if len(self) == 0:
            return None
        chosen = rows_of_step(
            self.plan.settings.train.seed, self.step, len(self), max(1, labelled * self.settings.ratio)
        )  # fmt: skip
        self.step += 1
        self.shown.set_epoch(self.epoch)
        if self.target is not None:
            return self.settings.weight * self._taught(model, chosen)
        term = self._mean_teacher(model, chosen) if self.method == "mean_teacher" else self._match(model, chosen)
        return None if term is None else self.settings.weight * term

    def numbers(self) -> dict[str, float]:
        """Of the epoch so far: the share of rows that were sure enough, and the share right of those with a target.

        Asking starts the count anew.
        """
        found = {}
        if self._asked:
            found["unlabelled_share"] = self._sure / self._asked
        if self._judged:
            found["unlabelled_precision"] = self._right / self._judged
        self._sure = self._asked = self._right = self._judged = 0
        return found

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        return {"step": torch.tensor(self.step), "last": torch.from_numpy(self.last_R)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what ``tensors`` gave."""
        self.step, self.last_R = int(tensors["step"]), tensors["last"].numpy().copy()

    def _taught(self, model: PlaitModel, chosen: np.ndarray) -> Tensor:
        assert self.target is not None
        device = next(model.parameters()).device
        batch = to_device(self.shown.__getitems__(chosen.tolist()), device)
        target = torch.from_numpy(self.target[chosen]).to(device)
        weight_B = torch.from_numpy(self.weight_R[chosen]).to(device, torch.float32)
        return (self._losses(model, batch, target) * weight_B).mean()

    def _losses(self, model: PlaitModel, batch: dict[str, Any], target: Tensor) -> Tensor:
        logits_BC = model(inputs=batch["inputs"], present=batch["present"])["logits"]
        return model.row_loss(logits_BC, target, model.class_weights_C if model.config.class_weights else None)

    def _match(self, model: PlaitModel, chosen: np.ndarray) -> Tensor | None:
        """FixMatch, or FlexMatch with thresholds by class."""
        top = self.settings.threshold or USUAL_THRESHOLD
        proba_BC = self._outputs(model, chosen)
        guess_B, sure_B = proba_BC.argmax(1), proba_BC.max(1)
        limit_B = np.full(len(chosen), top)
        if self.method == "flexmatch":
            limit_B = flexible_thresholds(self.last_R, proba_BC.shape[1], top)[guess_B]
            self.last_R[chosen[sure_B >= top]] = guess_B[sure_B >= top]
        is_sure_B = sure_B >= limit_B
        self._count(chosen, guess_B, is_sure_B)
        if not is_sure_B.any():
            return None
        batch = self._strong(model, chosen)
        target = torch.from_numpy(guess_B).to(batch["present"].device)
        mask_B = torch.from_numpy(is_sure_B).to(batch["present"].device)
        return (self._losses(model, batch, target) * mask_B).mean()

    def _mean_teacher(self, model: PlaitModel, chosen: np.ndarray) -> Tensor:
        """Squared distance of the strong view's answers from those of the averaged weights."""
        assert self.average is not None
        with self.average.in_place():
            outputs_BC = self._outputs(model, chosen)
        batch = self._strong(model, chosen)
        logits_BC = model(inputs=batch["inputs"], present=batch["present"])["logits"]
        made_BC = torch.sigmoid(logits_BC) if self.plan.task.output_kind == "labels" else torch.softmax(logits_BC, 1)
        wanted_BC = torch.from_numpy(outputs_BC).to(made_BC)
        done = min(1.0, self.step / (RAMP * self.steps))
        if outputs_BC.shape[1] and self.plan.task.family.one_class:
            self._count(chosen, outputs_BC.argmax(1), np.ones(len(chosen), dtype=bool))
        return float(np.exp(-5.0 * (1.0 - done) ** 2)) * ((made_BC - wanted_BC) ** 2).sum(1).mean()

    def _outputs(self, model: PlaitModel, chosen: np.ndarray) -> np.ndarray:
        """Answers [B, C] to rows as they are, which teach."""
        with evaluation_mode(model, inference=False):
            batch = to_device(self.rows.__getitems__(chosen.tolist()), next(model.parameters()).device)
            logits_BC = model(inputs=batch["inputs"], present=batch["present"])["logits"].float().cpu().numpy()
        return np.asarray(self.plan.task.activate(logits_BC, self.plan.labels))

    def _strong(self, model: PlaitModel, chosen: np.ndarray) -> dict[str, Any]:
        seed = (self.plan.settings.train.seed, self.epoch, self.step)
        made = strong_view(
            self.shown.__getitems__(chosen.tolist()), self.sources, self.rows.index_NM[chosen], self.settings, seed
        )
        return to_device(made, next(model.parameters()).device)

    def _count(self, chosen: np.ndarray, guess_B: np.ndarray, sure_B: np.ndarray) -> None:
        self._asked += len(chosen)
        self._sure += int(sure_B.sum())
        known_B = sure_B & self.known_R[chosen]
        self._judged += int(known_B.sum())
        self._right += int((guess_B[known_B] == self.truth_R[chosen][known_B]).sum())


def unlabelled_term(
    plan: Plan, sources: dict[str, Source], index_NM: np.ndarray, steps: int
) -> UnlabelledTerm | None:  # fmt: skip
    """The term of a network on these modalities; None without unlabelled rows, or where they teach before training."""
    if plan.unlabelled is None or plan.unlabelled.settings.method == TRANSPORT:
        return None
    return UnlabelledTerm(plan, sources, index_NM, steps)


def check_strong_view(plan: Plan, unlabelled: UnlabelledRows) -> None:
    """Refuse methods that compare views where no input of a row can be changed.

    Raises:
        ValueError: So it is; the message says what to type.
    """
    views = 1 if plan.views is None else plan.views.settings.views
    if unlabelled.settings.method in CONSISTENCY and not has_strong_view(
        plan.prepared.sources, views, unlabelled.settings
    ):
        raise ValueError(
            f"semi={unlabelled.settings.method!r} compares a row with a changed copy of it, and nothing of these rows "
            "can be changed: type set=['augment.views=2'], or semi='none'"
        )
