"""What members beside the networks read of a table, computed once for all folds: plain features and n-grams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from plait.ensemble.linear import RowFeatures
from plait.inputs.dataset import SetSource, Source
from plait.inputs.feature_store import FeatureSet
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import add_ngrams, texts_of
from plait.processors.ngrams import NgramProcessor
from plait.training.plan import Plan

ROWS_AT_ONCE = 1024
MOST_LINEAR_ROWS = 10_000
Plain = Callable[[Any], torch.Tensor]


@dataclass
class TableFeatures:
    """Features of all rows of a plan, kept once they were asked for.

    Args:
        plan: Of the run; folds of it read the same rows.

    Attributes:
        plain: By modality number, from a batch's tensors to plain features, where a modality has any.
        target: Encoded targets of all rows, numbers in their unit.
    """

    plan: Plan
    plain: dict[int, Plain] = field(init=False)
    target: np.ndarray = field(init=False)
    _parts: dict[int, np.ndarray] | None = field(init=False, default=None)
    _ngrams: dict[int, tuple[NgramProcessor, Any] | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.plain, self.target = plain_functions(self.plan), natural_target(self.plan)

    @property
    def parts(self) -> dict[int, np.ndarray]:
        """Plain features of every row, by modality number, zeros where the modality is missing [N, D] float32."""
        if self._parts is None:
            self._parts = {m: _plain_features(self.plan, m, plain) for m, plain in self.plain.items()}
        return self._parts

    def of_fold(self, fold: Plan) -> tuple[RowFeatures, RowFeatures]:
        """Those of training rows and of validation rows; of many rows a sample that is fitted in seconds."""
        rng = np.random.default_rng(fold.settings.train.seed)
        train, val = (
            RowFeatures({m: f[rows] for m, f in self.parts.items()}, self.present_NM[rows], self.target[rows])
            for rows in (_at_most(fold.train, rng), _at_most(fold.val, rng))
        )
        return train, val

    def ngrams(self, m: int, train: np.ndarray) -> tuple[NgramProcessor, Any] | None:
        """What makes n-grams of a text modality, and those of its items, sparse [I, G]; None without any n-gram.

        Args:
            m: Number of the modality.
            train: Rows whose texts say which n-grams are known, the first time.
        """
        if m not in self._ngrams:
            modality = self.plan.inputs.modalities[m]
            texts = texts_of(self.plan.inputs, self.plan.prepared, modality)
            shown = self.plan.prepared.rows.items[modality.name].index_N[train]
            processor = self.plan.inputs.ngrams.get(modality.name)
            processor = processor or NgramProcessor.fit([texts[i] for i in shown if i >= 0])
            self._ngrams[m] = None if processor is None else (processor, processor.matrix(texts))
        return self._ngrams[m]

    def hand_out(self, m: int) -> None:
        """From now on batches have the n-grams of a text modality."""
        modality, known = self.plan.inputs.modalities[m], self._ngrams[m]
        if known is not None and modality.name not in self.plan.inputs.ngrams:
            add_ngrams(self.plan.inputs, self.plan.prepared, modality, known[0])

    @property
    def present_NM(self) -> np.ndarray:  # noqa: N802  shape letters
        """What is there."""
        return self.plan.prepared.rows.present_NM


def natural_target(plan: Plan) -> np.ndarray:
    """Encoded targets of all rows, numbers in their unit."""
    return np.asarray(plan.task.natural(plan.target, plan.labels))


def plain_functions(plan: Plan) -> dict[int, Plain]:
    """By modality number: from a batch's tensors to the plain features of a linear model, where there are any."""
    found: dict[int, Plain] = {}
    for m, modality in enumerate(plan.inputs.modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        made = kind.plain(plan.inputs.processors[modality.name], modality.name in plan.inputs.frozen)
        if made is not None:
            found[m] = made
    return found


def _plain_features(plan: Plan, m: int, plain: Plain) -> np.ndarray:
    name = plan.inputs.modalities[m].name
    items = plan.prepared.rows.items[name]
    known = plain_of_items(plan.prepared.sources[name], len(items.keys), plain)
    index_N = items.index_N
    found: np.ndarray = np.where((index_N >= 0)[:, None], known[np.maximum(index_N, 0)], 0.0).astype(np.float32)
    return found


def plain_of_items(source: Source, count: int, plain: Plain) -> np.ndarray:
    """Plain features of the items of a modality [I, D]; of none, those of a missing one [1, D]."""
    if isinstance(source, FeatureSet | SetSource):
        source = source.select(has_tokens=False)
    parts = [
        plain(source.take(np.arange(start, min(start + ROWS_AT_ONCE, count)))).float().cpu().numpy()
        for start in range(0, count, ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else plain(source.take(np.array([-1]))).float().cpu().numpy()


def _at_most(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= MOST_LINEAR_ROWS else np.sort(rng.choice(rows, MOST_LINEAR_ROWS, replace=False))
