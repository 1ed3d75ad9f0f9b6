"""Numbers and categories: processor and encoder are made from training rows, and always trained."""

from __future__ import annotations

from typing import Any

from plait.data.items import Items
from plait.data.schema import Modality
from plait.encoders.base import Encoder
from plait.encoders.tabular import TabularEncoder
from plait.inputs.dataset import Source, TensorSource
from plait.inputs.modality_kinds import Load, ModalityKind, TrainingRows
from plait.processors import Processor, TabularProcessor

WIDTH = 64


def _fit(
    modality: Modality, processor: Processor | None, encoder: Encoder | None, training: TrainingRows
) -> tuple[Processor, Encoder]:
    train = training.table.take(training.positions)
    fitted = TabularProcessor.fit(
        {c: train.column(c) for c in modality.columns},
        numeric=[c for c in modality.columns if training.kinds[c] == "numeric"],
        categorical=[c for c in modality.columns if training.kinds[c] == "categorical"],
    )
    return fitted, TabularEncoder(len(fitted.numeric), fitted.cardinalities, WIDTH)


def _live(processor: Any, items: Items, load: Load) -> Source:
    for counter in (processor.num_invalid, processor.num_unknown, processor.num_clipped):
        counter.clear()
    columns = {c: [cell.get(c) for cell in items.cells] for c in items.modality.columns}
    return TensorSource(processor.process(columns))


def _count(items: Items, processor: Any, load: Load) -> dict[str, int]:
    """What ``process`` counted in ``_live``."""
    return {
        "numbers unreadable": sum(processor.num_invalid.values()),
        "categories unknown": sum(processor.num_unknown.values()),
        "numbers clipped": sum(processor.num_clipped.values()),
    }


TABULAR = ModalityKind(live=_live, fit=_fit, count=_count, is_random=True, fitted_width=WIDTH)
