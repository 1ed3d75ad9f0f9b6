"""Runs in experiment trackers: MLflow, Weights & Biases, TensorBoard, Trackio, on this machine unless told otherwise.

The Trainer's own ``report_to`` logs while the fused network trains; a run is opened before, with Plait's places and
names, and gets the numbers of the evaluation at the end. One file a tracker.
"""

from __future__ import annotations

from plait.training.tracking.base import OPENERS, Tracking, open_tracking
from plait.training.tracking.mlflow import MLflowRun
from plait.training.tracking.tensorboard import TensorBoardRun
from plait.training.tracking.trackio import TrackioRun
from plait.training.tracking.wandb import WandbRun

__all__ = ["OPENERS", "MLflowRun", "TensorBoardRun", "TrackioRun", "Tracking", "WandbRun", "open_tracking"]
