"""A trained run evaluated: outputs on validation and test rows, a fair validation score, cost.

Test rows are touched in this file only, for the chosen configuration of a method and after its choice was made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from plait.comparison.archive import Archive
from plait.comparison.cost import inference_ms, training_memory
from plait.comparison.halves import two_halves
from plait.comparison.judging import score_texts
from plait.comparison.plan import Method
from plait.comparison.runs import Run, Runs, rows_of
from plait.fusion.calibration import Calibrated
from plait.inference.forward import predict_logits
from plait.model import PlaitModel
from plait.training import Plan, build_model, calibrate


def evaluate_run(runs: Runs, run: Run, model: PlaitModel) -> dict[str, np.ndarray]:
    """Activated outputs on "val" and "test" rows; of texts, their scores on "test" rows. Nothing is chosen after this.

    Raises:
        ValueError: An answer is not finite.
    """
    plan = runs.plan_of(run)
    if plan.task.family.writes:
        return {"test": score_texts(plan, model, rows_of(plan, run.method, runs.test), runs.references)}
    outputs = {}
    for split, rows in (("val", plan.val), ("test", runs.test)):
        logits = predict_logits(model, rows_of(plan, run.method, rows))
        if not np.isfinite(logits).all():
            raise ValueError(f"{int((~np.isfinite(logits)).any(1).sum())} {split} rows have answers that are NaN")
        outputs[split] = plan.task.activate(logits, plan.labels)
    return outputs


def evaluate_kept(
    runs: Runs, run: Run, archive: Archive, record: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and outputs of a search's chosen run, from the weights that were kept of it; both go to the archive.

    Args:
        runs: All runs.
        run: The chosen one.
        archive: Where its weights lie.
        record: What is known of it; its cost is added.

    Raises:
        ValueError: Its weights are missing, or an answer is not finite.
    """
    key, plan, method = runs.key(run), runs.plan_of(run), run.method
    weights = archive.weights(key)
    if weights is None:
        raise ValueError(f"the weights of run {key} are missing in {archive.runs}; type overwrite=True")
    torch.manual_seed(run.seed)
    model = build_model(plan, list(method.modalities))
    model.load_state_dict(weights)
    torch.nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu").train(False)
    record = {**record, **cross_fitted(model, plan, method)}
    outputs = evaluate_run(runs, run, model)
    archive.store_outputs(key, outputs)
    memory, how = training_memory(model, plan, rows_of(plan, method, plan.train, with_target=True))
    speed = inference_ms(model, plan, rows_of(plan, method, runs.test))
    record = {**record, "memory_bytes": memory, "memory_is": how, "inference_ms_per_1000": speed}
    archive.store(key, record)
    return record, outputs


def cross_fitted(model: PlaitModel, plan: Plan, method: Method) -> dict[str, float]:
    """The validation score where no row is scored by what was fitted on it; empty where nothing is fitted on them.

    A part that is fitted on validation rows (a stacking combiner, the pair head's calibration) would look too
    good on them beside methods that fit nothing there. It is fitted on one half and scored on the other, both
    ways, and then put back. Halves share out classes and keep groups whole.
    """
    if not any(isinstance(part, Calibrated) for part in (model.fusion, model.head)):
        return {}
    kept = {k: v.clone() for k, v in model.state_dict().items()}
    train = rows_of(plan, method, plan.train, with_target=True)
    halves = two_halves(plan.target[plan.val], plan.group_N[plan.val])
    logits: np.ndarray = np.zeros((len(plan.val), plan.labels.num_outputs), dtype=np.float32)
    for fitted, scored in (halves, halves[::-1]):
        model.load_state_dict(kept)
        calibrate(model, train, rows_of(plan, method, plan.val[fitted], with_target=True))
        logits[scored] = predict_logits(model, rows_of(plan, method, plan.val[scored]))
    model.load_state_dict(kept)
    truth = plan.task.natural(plan.target[plan.val], plan.labels)
    metrics = plan.task.metrics(truth, plan.task.activate(logits, plan.labels))
    score = plan.task.selecting(metrics)
    return {} if score is None else {"validation_cross_fitted": float(score)}
