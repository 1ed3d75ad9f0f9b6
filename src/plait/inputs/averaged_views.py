"""Test-time views: of frozen encoders the vectors of an item and of its changed copies, averaged.

Whatever answers sees one vector an item, as without them, so every evaluation and prediction takes them alike. Tokens,
words and numbers stay those of the item itself, and encoders that are trained are asked once. What a fitted model
learned from its own answers (calibration, thresholds) was learned without them. Pictures beside words or categories are
neither mirrored, turned nor coloured anew: an answer must not depend on the other rows that show the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from plait.data.progress import Progress
from plait.inputs.dataset import SetSource, Source
from plait.inputs.feature_store import FeatureSet, FeatureStore
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import loader
from plait.inputs.prepare import Prepared, with_words
from plait.inputs.views import add_views
from plait.processors.augment.views import ItemViews
from plait.settings import AugmentSettings


@dataclass
class MeanSource:
    """Features whose vectors are the mean over an item and its changed copies.

    Attributes:
        source: Features of items and of their copies behind them.
        views: The numbers of the copies.
    """

    source: Source
    views: ItemViews

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Features of items; a missing one is that of the source."""
        taken = self.source.take(index_B)
        vectors = [taken["vector_BD"]]
        for view in range(1, self.views.settings.views):
            number_B = self.views.number_of(index_B, np.full(len(index_B), view), 0)
            vectors.append(self.source.take(number_B)["vector_BD"])
        return {**taken, "vector_BD": torch.stack(vectors).mean(dim=0)}


def average_views(
    inputs: Inputs, prepared: Prepared, rows: np.ndarray, settings: AugmentSettings, *, seed: int, max_seconds: float,
    store: FeatureStore | None = None, progress: Progress | None = None,
) -> None:  # fmt: skip
    """Let the frozen modalities of a table answer with the mean over views; nothing where ``test_views`` is 1.

    Args:
        inputs: Processors and encoders.
        prepared: The rows; completed in place.
        rows: Positions of the rows that are answered.
        settings: What is changed, as in training; ``test_views`` says how often.
        seed: Of everything drawn.
        max_seconds: Longer sounds are cut.
        store: Where features are kept.
        progress: Called with (done, total, what).
    """
    if settings.test_views == 1:
        return
    drawn = add_views(
        inputs, prepared, rows, None, replace(settings, views=settings.test_views, numbers=0.0), seed=seed, epochs=1,
        max_seconds=max_seconds, store=store, progress=progress,
    )  # fmt: skip
    assert drawn is not None
    for modality in inputs.modalities:
        name, items = modality.name, prepared.rows.items[modality.name]
        if name not in drawn.items or name not in inputs.frozen:
            continue
        features = prepared.sources[name]
        while not isinstance(features, FeatureSet | SetSource):  # words are read of the item itself
            features = cast(MeanSource, features).source
        load = loader(items if items.parts is None else items.parts, prepared.rows.table.media_folder)
        prepared.sources[name] = with_words(MeanSource(features, drawn.items[name]), inputs, modality, load)
