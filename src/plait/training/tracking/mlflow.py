"""MLflow: a run in ``mlflow.db`` beside where the command runs, or where ``MLFLOW_TRACKING_URI`` says."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from plait.training.tracking.base import OPENERS, PROJECT, RunFacts

LONGEST_TAG = 5000


class MLflowRun:
    """A run that is open until the evaluation; one that the user has open is used and left open.

    Args:
        facts: What it is told.
    """

    def __init__(self, facts: RunFacts) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.mlflow = mlflow
        # Its callback would log the Trainer's arguments, which our settings replace, but longer than it lets values be.
        self.environment: Mapping[str, str] = {"MLFLOW_FLATTEN_PARAMS": "TRUE", "MLFLOW_MAX_LOG_PARAMS": "0"}
        if not (mlflow.is_tracking_uri_set() or os.environ.get("MLFLOW_TRACKING_URI")):
            mlflow.set_tracking_uri(f"sqlite:///{(Path.cwd() / 'mlflow.db').as_posix()}")
        active = mlflow.active_run()
        self.is_ours = active is None
        if active is None:
            mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
            active = mlflow.start_run(run_name=facts.name)
        self.run_id = active.info.run_id
        longest = mlflow.utils.validation.MAX_PARAM_VAL_LENGTH
        parameters = {key: str(value)[:longest] for key, value in facts.parameters.items()}
        if self.is_ours:
            mlflow.log_params(parameters)
        else:  # of several fits in one run the parameters differ, and a parameter is written once
            mlflow.set_tags({f"plait.{key}": value for key, value in parameters.items()})
        self.name, self.place = str(active.info.run_name), mlflow.get_tracking_uri()

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Log the numbers as metrics and the sentences as tags, and end the run."""
        named = {re.sub(r"[^0-9A-Za-z_\-. :/]", "_", name): value for name, value in numbers.items()}
        self.mlflow.log_metrics(named, run_id=self.run_id)
        self.mlflow.set_tags({f"plait.{name}": text[:LONGEST_TAG] for name, text in texts.items()})
        if self.is_ours:
            self.mlflow.end_run()

    def fail(self) -> None:
        """End the run as failed."""
        if self.is_ours:
            self.mlflow.end_run("FAILED")


OPENERS.add("mlflow", MLflowRun)
