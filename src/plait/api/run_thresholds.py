"""Where a trained model decides: thresholds of classes and of label sets, from validation rows alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import nn

from plait.ensemble import Ensemble
from plait.ensemble.judged import answers_of
from plait.fusion import Calibrated
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.settings import RunSettings
from plait.tasks import LabelState, Task
from plait.tasks.decisions import EVEN
from plait.training import Plan
from plait.training.thresholds import TunedThresholds, threshold_metric, tune_thresholds


def check_threshold(settings: RunSettings, task: Task, labels: LabelState) -> None:
    """Refuse thresholds where a task decides by none.

    Raises:
        ValueError: The message names the setting and the task.
    """
    given = settings.task.threshold
    asked = settings.task.threshold_for
    metric = threshold_metric(task, asked)
    has_one = task.output_kind == "labels" or len(labels.classes) == 2
    is_number = given not in (None, "auto", EVEN)
    if metric is not None and (has_one or not is_number):
        return
    if is_number or asked is not None:
        what = f"{len(labels.classes)} classes" if labels.classes else f"task {task.name}"
        if not is_number:
            raise ValueError(f"task.threshold_for is for classes and for label sets, not for {what}; leave it out")
        instead = "; name what they are tuned for with task.threshold_for" if metric is not None else ""
        raise ValueError(f"task.threshold={given} is for two classes and for label sets, not for {what}{instead}")


def decide(
    plan: Plan, model: PlaitModel, baselines: dict[str, PlaitModel], ensemble: Ensemble | None, num_folds: int
) -> tuple[LabelState, list[str]]:
    """The label state with thresholds, and what to tell of them. Test rows are never seen here.

    Args:
        plan: Its validation rows tune; of an ensemble of folds the rows that chose it, each by a model that has
            not seen it.
        model: The fused network.
        baselines: One network a modality alone, whose thresholds are tuned likewise, so that the comparison is fair.
        ensemble: What answers in the network's place, or None.
        num_folds: As it was fitted with.
    """
    labels, given = plan.labels, plan.settings.task.threshold
    is_set = plan.task.output_kind == "labels"
    metric = threshold_metric(plan.task, plan.settings.task.threshold_for, len(labels.classes))
    if metric is None or given is None or given == EVEN:
        return labels, []
    count = len(labels.classes) if is_set else 1
    if not isinstance(given, str):
        fixed = (float(given),) * count
        return replace(labels, thresholds=fixed, alone=dict.fromkeys(baselines, fixed)), []
    if isinstance(model.head, Calibrated) or len(plan.val) == 0:
        return labels, []  # that head has found on validation rows where to decide

    def tuned(proba_NC: np.ndarray, rows: np.ndarray) -> TunedThresholds:
        return tune_thresholds(
            proba_NC, plan.target[rows], is_label_set=is_set, metric=metric, group_N=plan.group_N[rows],
            seed=plan.settings.train.seed,
        )  # fmt: skip

    if ensemble is not None:
        found = tuned(*answers_of(plan, ensemble, num_folds))
        alone: dict[str, tuple[float, ...]] = {}
    else:
        found = tuned(_probabilities(plan, model, None), plan.val)
        each = {name: tuned(_probabilities(plan, one, name), plan.val).values for name, one in baselines.items()}
        alone = {name: values for name, values in each.items() if values}
    return replace(labels, thresholds=found.values, alone=alone), _told(found, labels, is_set)


def _probabilities(plan: Plan, model: nn.Module, name: str | None) -> np.ndarray:
    """Of validation rows, by a network of everything or of one modality."""
    names = [m.name for m in plan.inputs.modalities]
    columns = list(range(len(names))) if name is None else [names.index(name)]
    sources = {names[c]: plan.prepared.sources[names[c]] for c in columns}
    rows = RowBatches(sources, plan.prepared.rows.index_NM[plan.val][:, columns])
    return plan.task.activate(predict_logits(model, rows), plan.labels)


def _told(found: TunedThresholds, labels: LabelState, is_set: bool) -> list[str]:
    if not found.values:
        return []
    limits = f"{min(found.values):.2f}" + (f" to {max(found.values):.2f}" if len(set(found.values)) > 1 else "")
    where = f"a label is answered from a probability of {limits}, not .5"
    if not is_set and len(found.values) == 1:
        where = f"{labels.classes[1]!r} is answered above a probability of {limits}, not .5"
    elif not is_set:
        where = f"answered is the class whose probability is the most times its threshold ({limits}), not the likeliest"
    return [
        f"{where} (task.threshold=auto): on validation rows that did not tune it {found.metric} goes from "
        f"{found.before:.3f} to {found.after:.3f}"
    ]
