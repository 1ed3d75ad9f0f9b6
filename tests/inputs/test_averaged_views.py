"""Test-time views: the mean over an item and its copies, of frozen encoders, whatever rows stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.settings import AugmentSettings

averaged = lazy("plait.inputs.averaged_views")
inputs_views = lazy("plait.inputs.views")


class Numbered:
    """Item i has the vector i; copies follow."""

    def take(self, index_B: np.ndarray) -> dict[str, torch.Tensor]:
        return {"vector_BD": torch.from_numpy(index_B.astype(np.float32))[:, None], "mask_BT": torch.ones(3, 1)}


class TwoItems:
    settings = AugmentSettings(views=3)

    def number_of(self, index_B: np.ndarray, view_B: np.ndarray, epoch: int) -> np.ndarray:
        return np.where(index_B < 0, -1, 2 + 2 * index_B + view_B - 1)


def test_vectors_are_the_mean_over_views_and_the_rest_is_the_items() -> None:
    made = averaged.MeanSource(Numbered(), TwoItems()).take(np.array([0, 1, -1]))
    assert made["vector_BD"][:, 0].tolist() == pytest.approx([(0 + 2 + 3) / 3, (1 + 4 + 5) / 3, -1.0])
    assert torch.equal(made["mask_BT"], torch.ones(3, 1))


@pytest.mark.parametrize("with_words", [True, False])
def test_what_words_could_forbid_is_forbidden_unread(with_words: bool) -> None:
    items = {"photo": Items(Modality("photo", "image", ("photo",)), ["a", "b"], [b"", b""], np.arange(2))}
    if with_words:
        items["words"] = Items(Modality("words", "text", ("words",)), ["c"], ["two dogs"], np.zeros(2, dtype=np.int64))
    rows = Rows([0, 1], items)  # type: ignore[arg-type]
    found = inputs_views.views_of_items(
        rows, np.arange(2), None, AugmentSettings(views=2), seed=0, epochs=dict.fromkeys(rows.items, 1),
        max_pixels=10**6, max_seconds=1.0,
    )  # fmt: skip
    assert {(a.flip, a.turn, a.recolour) for a in found["photo"].allowed} == {(not with_words,) * 3}


def test_a_fitted_model_answers_by_views_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frozen text encoder here stands still; answers move with test views and not with the other rows."""
    import plait
    from fixtures.settings import QUICK
    from plait.encoders.base import Encoder
    from plait.inputs import inputs as inputs_file

    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path))
    monkeypatch.setattr(inputs_file, "_tuning_of", lambda *_: "frozen")
    monkeypatch.setattr(Encoder, "fingerprint", property(lambda self: self.reference), raising=False)
    texts = [f"{'good' if i % 2 else 'bad'} thing number {i} of these many long stories" for i in range(24)]
    table: dict[str, Any] = {"text": texts, "label": ["up" if i % 2 else "down" for i in range(24)]}
    model = plait.fit(table, "label", epochs=2, set=[*QUICK, "ensemble.members=[]", "judge.missing_rows=0"])

    def answers(rows: list[str], *more: str) -> list[float]:
        return [float(p) for p in model.predict({"text": rows}, set=more).column("probability_up").to_pylist()]

    plain = answers(texts)
    assert answers(texts, "augment.test_views=1") == plain
    by_views = answers(texts, "augment.test_views=4")
    assert by_views != plain and np.allclose(by_views[:5], answers(texts[:5], "augment.test_views=4"), atol=1e-6)
    with pytest.raises(ValueError, match=r"augment.test_views must be 1 to 64, got 0"):
        answers(texts, "augment.test_views=0")
