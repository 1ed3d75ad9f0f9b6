"""What a fusion learns from training rows before training: the root of the cosine fusion, decided once and saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import plait
from fixtures.settings import QUICK
from plait.data.synthetic import make_synthetic


def test_the_root_of_each_modality_is_decided_by_training_rows_and_saved(tmp_path: Path) -> None:
    table = make_synthetic("xor", 60)
    chosen = [*QUICK, "encoders.image_size=16", "encoders.max_length=12", "fusion.width=8", "fusion.dropout=0.0"]
    fitted = plait.fit(
        table, "label", split="split", id="id", fusion="cosine", ignore="number", epochs=1, output=tmp_path / "m",
        set=chosen,
    )  # fmt: skip
    names = fitted.model.config.modality_names
    assert dict(zip(names, fitted.model.fusion.rooted_M.tolist(), strict=True)) == {"image": True, "text": False}
    again = plait.load(tmp_path / "m")
    assert again.model.fusion.rooted_M.tolist() == fitted.model.fusion.rooted_M.tolist()
    assert np.array_equal(again.predict_proba(table), fitted.predict_proba(table))
