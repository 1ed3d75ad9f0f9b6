"""Integrated gradients of pixels and of word embeddings against captum, on one trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.settings import QUICK

pytestmark = pytest.mark.oracle
STEPS = 64


@pytest.fixture(scope="module")
def network(posts: Path) -> plait.Plait:
    return plait.fit(posts, "label", split="split", preset="single", set=[*QUICK, "train.epochs=3"])


@pytest.mark.parametrize("name", ["image", "text"])
def test_integrated_gradients_are_those_of_captum(network: plait.Plait, posts: Path, name: str) -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed; it comes with plait[dev]")
    from plait.api.evaluation import open_evaluation
    from plait.explain.inputs import gradients
    from plait.explain.inputs.cutters import CUTTERS, Item
    from plait.explain.inputs.options import InputOptions
    from plait.explain.inputs.score import asked_of

    given = open_evaluation(network, posts, rows="all")
    asked = asked_of(given, network.inputs, [41], 0, 0)
    number = list(given.model.config.modality_names).index(name)
    modality = network.inputs.modalities[number]
    item = int(given.prepared.rows.items[name].index_N[given.positions[41]])
    cut = CUTTERS.get(modality.kind)(Item(given, network.inputs, modality, item, InputOptions(grid=4)))
    ours = gradients.GradientScores(asked, 0, number, cut, 1)
    model: Any = given.model

    def forward(taken: torch.Tensor) -> torch.Tensor:
        features = ours._encode(taken)
        others = {
            n: {k: v.expand(len(taken), *v.shape[1:]) for k, v in t.items()} for n, t in ours.others_inputs.items()
        }
        present = torch.ones(len(taken), len(given.model.config.modality_names), dtype=torch.bool)
        logits = model.answer(model.encode({**others, name: features}, present), present).float()
        return asked.log_odds(logits, 1)

    start = torch.where(ours.part_of >= 0, ours.base, ours.given)  # special tokens stay
    model.eval()
    made = attr.IntegratedGradients(forward).attribute(
        ours.given, start, n_steps=STEPS, method="gausslegendre", internal_batch_size=STEPS
    )
    theirs = ours._by_part(made[0].double()).numpy()
    points, weights = np.polynomial.legendre.leggauss(STEPS)
    straight = ours._sum(given.model, (points + 1) / 2, weights / 2)  # on captum's own points
    assert np.abs(straight).max() > 1e-3  # there is something to agree on
    np.testing.assert_allclose(straight, theirs, atol=1e-4)
    # Ours lie closer to an even baseline, where networks turn fastest: the same integral, better resolved.
    np.testing.assert_allclose(ours.values, theirs, atol=0.1 * np.abs(theirs).max())
