"""What an explanation says of how training prepared the model for missing modalities."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"modality_dropout": 0.0}, "in training no modality was ever hidden on purpose"),
        ({"modality_dropout": {"a": 0.0}}, "in training no modality was ever hidden on purpose"),
        ({"modality_dropout": 0.1}, "each modality was hidden from 10% of the rows"),
        ({"modality_dropout": {"a": 0.5, "b": 0.0}}, r"hidden from rows \(a from 50%\)"),
        ({"modality_dropout": 0.3, "modality_dropout_pattern": "subset"}, "30% of the rows kept a random part"),
    ],
)
def test_every_way_of_hiding_has_its_words(given: dict[str, object], wanted: str) -> None:
    from plait.explain.fitted_model import _said_of_hiding
    from plait.model import PlaitConfig

    said = _said_of_hiding(PlaitConfig(**given))  # type: ignore[arg-type]
    assert re.search(wanted, said)
