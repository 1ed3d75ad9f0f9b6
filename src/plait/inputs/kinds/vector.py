"""Ready vectors, as wide as most of the table's; mean and standard deviation are learned from training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from plait.data.media import CellError
from plait.data.modality import Modality
from plait.data.table import Table
from plait.data.vectors import usual_width
from plait.encoders.base import Encoder
from plait.encoders.scratch import masked_mean
from plait.encoders.vector import VectorEncoder
from plait.inputs.modality_kinds import ModalityKind, Plain, TrainingRows
from plait.processors import VectorProcessor

if TYPE_CHECKING:
    from plait.processors import Processor


def _own(modality: Modality, table: Table) -> tuple[Processor, Encoder]:
    width = usual_width(table.column(modality.columns[0]), table.media_folder)
    return VectorProcessor(width), VectorEncoder(width)


def _fit(
    modality: Modality, processor: Processor | None, encoder: Encoder | None, training: TrainingRows
) -> tuple[Processor, Encoder]:
    assert isinstance(processor, VectorProcessor) and isinstance(encoder, VectorEncoder)
    encoder.fit([training.items.cells[i] for i in training.items.index_N[training.positions] if i >= 0])
    return processor, encoder


def _examine(vector: Any, processor: Any, max_pixels: int) -> None:
    if vector.shape[-1] != processor.width:
        raise CellError(f"the vector has {vector.shape[-1]} numbers; expected {processor.width}")


def _plain(processor: Any, is_frozen: bool) -> Plain:
    return _mean_features


def _mean_features(tensors: dict[str, Tensor]) -> Tensor:
    return masked_mean(tensors["values_BTD"], tensors["mask_BT"])


VECTOR = ModalityKind(own=_own, fit=_fit, examine=_examine, plain=_plain)
