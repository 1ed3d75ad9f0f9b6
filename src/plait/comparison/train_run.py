"""One run of a comparison: a training, and the record that is kept of it."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plait.comparison.cost import count_parameters
from plait.comparison.method_outcome import reason_of
from plait.comparison.run_counter import RunCounter
from plait.comparison.runs import Run, Runs
from plait.model import PlaitModel
from plait.training import calibration_notes
from plait.training.fit import fit_model

logger = logging.getLogger(__name__)


def train_run(runs: Runs, run: Run, counter: RunCounter) -> tuple[dict[str, Any], PlaitModel | None]:
    """Train: the record, and the model where it ended well.

    A failure is no error: it is recorded with its reason, and the comparison goes on.
    """
    method, plan = run.method, runs.plan_of(run)
    record: dict[str, Any] = {
        "method": method.name, "configuration": asdict(runs.configurations[run.number]), "seed": run.seed,
        "status": "done", "reason": None, "validation": None,
    }  # fmt: skip
    progress = counter.watch(f"{method.name}, seed {run.seed}")
    model = None
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            model, history = fit_model(
                plan, list(method.modalities), Path(folder) / "run", checkpoints=False, progress=progress
            )
        batch = plan.settings.train.batch_size
        assert batch is not None
        if history.best_score is None:
            raise ValueError("the validation score is undefined on these validation rows")
        record |= {
            "validation": history.best_score, "best_epoch": history.best_epoch,
            "epochs": len(history.epochs), "steps": len(history.epochs) * math.ceil(len(plan.train) / batch),
            "train_seconds": history.seconds, **count_parameters(model),
            "notes": calibration_notes(model, plan.labels),
        }  # fmt: skip
    except Exception as error:  # one method's fault must not end the comparison; it is listed with its reason
        logger.debug("run of %s failed", method.name, exc_info=True)
        record |= {"status": "failed", "reason": reason_of(error)}
        record["train_seconds"] = time.monotonic() - started
        model = None
    counter.done += 1
    return record, model
