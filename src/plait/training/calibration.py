"""What fusion and head fit without a gradient: before training on training rows, then on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.scaling import FeatureScaler
from plait.fusion import Calibrated, CosineFusion, Observing, SeenBatch
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.tasks import LabelState

ROWS_AT_ONCE = 1024


def observe(model: PlaitModel, train: RowBatches, alone: RowBatches | None = None) -> None:
    """Let the fusion of a fresh model look at its training rows; fresh adapters change nothing of what it sees.

    Args:
        model: The model.
        train: Its training rows.
        alone: Rows whose sides teach one by one, where canonical towers take them; None: there are none.
    """
    if isinstance(model.fusion, Observing):
        with evaluation_mode(model, inference=False):
            if alone is not None and isinstance(model.fusion, CosineFusion):
                model.fusion.observe(ModelRows(model, train), ModelRows(model, alone))
            else:
                model.fusion.observe(ModelRows(model, train))


def scale_features(model: PlaitModel, train: RowBatches) -> None:
    """Let a fresh model learn mean and standard deviation of each feature of its frozen vectors from training rows."""
    names = model.config.modality_names
    fit_scalers(model.scalers, model, train, lambda inputs, m: inputs[names[m]]["vector_BD"])


def fit_scalers(
    scalers: nn.ModuleDict, model: PlaitModel, rows: RowBatches, vector_of: Callable[[dict[str, Any], int], Tensor]
) -> None:
    """Fit scalers, by modality number as text, to vectors of the rows that have the modality.

    Args:
        scalers: Fresh ones; none are no work.
        model: Says where the rows are computed.
        rows: The rows.
        vector_of: Gives the vectors [B, D] of a modality, by its number, out of a batch's inputs.
    """
    if not scalers:
        return
    seen: dict[str, list[Tensor]] = {key: [] for key in scalers}
    with evaluation_mode(model, inference=False):
        for _, batch in evaluation_batches(model, rows, batch_size=ROWS_AT_ONCE):
            for key, found in seen.items():
                found.append(vector_of(batch["inputs"], int(key))[batch["present"][:, int(key)]])
    for key, found in seen.items():
        cast(FeatureScaler, scalers[key]).fit(torch.cat(found))


def calibrate(model: PlaitModel, train: RowBatches, val: RowBatches) -> None:
    """Let fusion and head fit on validation rows what must not be fitted by gradient on training rows."""
    with evaluation_mode(model, inference=False):
        for part in (model.fusion, model.head):
            if isinstance(part, Calibrated):
                seen = part is model.fusion
                part.calibrate_from(ModelRows(model, train, as_fused=seen), ModelRows(model, val, as_fused=seen))


def calibration_notes(model: PlaitModel, labels: LabelState) -> list[str]:
    """What fusion and head could not fit on validation rows, for the report; none where all was fitted."""
    names = list(labels.classes) or ["number"]
    return [n for part in (model.fusion, model.head) if isinstance(part, Calibrated) for n in part.notes(names)]


class ModelRows:
    """Rows as a model sees them, for ``calibrate_from``.

    Args:
        model: The model, in evaluation mode.
        rows: Rows with targets.
        as_fused: Presence as the fusion sees it, where a learned absence stands for what is missing; else the true one.
    """

    def __init__(self, model: PlaitModel, rows: RowBatches, *, as_fused: bool = False) -> None:
        assert rows.target is not None
        self.as_fused = as_fused
        self.model, self.rows, self.target = model, rows, rows.target.numpy()

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        """All rows in order, or those at the positions ``chosen``, many at once."""
        for _, batch in evaluation_batches(self.model, self.rows, batch_size=ROWS_AT_ONCE, chosen=chosen):
            present = batch["present"]
            encoded = self.model.encode(batch["inputs"], present)
            shown = self.model.seen(present) if self.as_fused else present
            yield SeenBatch(encoded, shown, partial(self.model.fuse, encoded, present), batch["keys"])
