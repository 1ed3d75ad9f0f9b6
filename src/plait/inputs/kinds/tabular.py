"""Numbers, categories and dates: processor and encoder are made from training rows, and always trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import BadRow
from plait.data.values import ColumnReading
from plait.encoders.base import Encoder
from plait.encoders.numbers import PiecewiseNumbers
from plait.encoders.tabular import TabularEncoder
from plait.inputs.dataset import Source, TensorSource
from plait.inputs.modality_kinds import Load, ModalityKind, Plain, TrainingRows
from plait.processors import TabularProcessor
from plait.processors.tabular import CellFault, odd_cells

if TYPE_CHECKING:
    from plait.processors import Processor

WIDTH = 64


def _fit(
    modality: Modality, processor: Processor | None, encoder: Encoder | None, training: TrainingRows
) -> tuple[Processor, Encoder]:
    train = training.table.take(training.positions)
    fitted = TabularProcessor.fit(
        {c: train.column(c) for c in modality.columns},
        numeric=[c for c in modality.columns if training.kinds[c] == "numeric"],
        categorical=[c for c in modality.columns if training.kinds[c] == "categorical"],
        dates=[c for c in modality.columns if training.kinds[c] == "date"],
        readings=training.readings,
        share_rare=training.categories == "compact",
    )
    made = TabularEncoder(
        fitted.num_numbers, fitted.cardinalities, WIDTH, training.numbers, categories=training.categories
    )
    if isinstance(made.numbers, PiecewiseNumbers):
        known = {c: train.column(c) for c in modality.columns}
        read = fitted.process(known)
        made.numbers.fit(read["numeric_BF"].numpy(), read["missing_BF"].numpy())
    return fitted, made


def _unreadable(modality: Modality, training: TrainingRows) -> list[BadRow]:
    found = []
    for name in modality.columns:
        if training.kinds[name] in ("numeric", "date"):
            reading = training.readings.get(name, ColumnReading("text"))
            odd = odd_cells(training.table.column(name), reading, is_date=training.kinds[name] == "date")
            found += [BadRow(place, name, reason) for place, reason in odd]
    return found


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


def _report(items: Items, processor: Any, rows: Rows) -> None:
    """Cells that are no numbers are bad ones, categories never seen are set aside; each for every row it is in.

    Rows in which nothing is left lack the modality, as rows of empty cells do.
    """
    by_item: dict[int, list[CellFault]] = {}
    for fault in processor.faults:
        by_item.setdefault(fault.row, []).append(fault)
    for position in np.flatnonzero(np.isin(items.index_N, list(by_item))):
        for fault in by_item[int(items.index_N[position])]:
            report = rows.report if fault.is_unreadable else rows.set_aside
            report(int(position), fault.column, fault.reason)
    items.index_N[np.isin(items.index_N, processor.blank)] = -1


def _plain(processor: Any, is_frozen: bool) -> Plain:
    """Numbers, their gaps, and a place a category; what is missing or unknown has no place."""
    return partial(_plain_features, sizes=tuple(processor.cardinalities))


def _plain_features(tensors: dict[str, Tensor], sizes: tuple[int, ...]) -> Tensor:
    there = 1.0 - tensors["missing_BF"]
    places = [functional.one_hot(tensors["categorical_BK"][:, k], size)[:, 1:].float() for k, size in enumerate(sizes)]
    return torch.cat([tensors["numeric_BF"] * there, tensors["missing_BF"], *places], dim=1)


TABULAR = ModalityKind(
    live=_live, fit=_fit, unreadable=_unreadable, count=_count, report=_report, is_random=True, fitted_width=WIDTH,
    plain=_plain, has_columns=True,
)  # fmt: skip
