"""Views of every kind of modality, frozen and trained: sets of pictures, sounds, words of a bag, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.samples import wave_bytes
from plait.settings import AugmentSettings

opening = lazy("plait.api.opening")
preparing = lazy("plait.api.preparing")
RunSettings = lazy("plait.settings", "RunSettings")

SETS = [*QUICK, "encoders.image_size=16", "encoders.audio=scratch:audio", "augment.views=3", "augment.numbers=0.5",
        "encoders.words=8", "train.epochs=2"]  # fmt: skip


def table(folder: Path) -> dict[str, list[Any]]:
    generator, names = np.random.default_rng(0), []
    for i in range(20):
        Image.fromarray(generator.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        names.append(str(folder / f"{i}.png"))
    return {
        "photos": [[names[i], names[(i + 1) % 20]][: 1 + i % 2] for i in range(20)],
        "sound": [wave_bytes(generator.normal(0, 0.1, 1600).astype(np.float32), 16000) for _ in range(20)],
        "text": [f"this is story number {i} among many other stories" for i in range(20)],
        "size": [float(i) for i in range(20)], "label": ["ab"[i % 2] for i in range(20)],
        "split": ["train"] * 14 + ["val"] * 3 + ["test"] * 3,
    }  # fmt: skip


@pytest.mark.parametrize("tuning", ["trained", "frozen"])
def test_rows_show_views_of_one_number_in_all_modalities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    pytest.importorskip("soundfile", reason="reading sound needs the extra audio")
    from plait.encoders.base import Encoder
    from plait.inputs import inputs as inputs_file
    from plait.inputs.dataset import RowBatches

    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "cache"))
    if tuning == "frozen":
        monkeypatch.setattr(inputs_file, "_tuning_of", lambda *_: "frozen")
        monkeypatch.setattr(Encoder, "fingerprint", property(lambda self: self.reference), raising=False)
    given = {"data.target": "label", "data.image_set": ["photos"], "data.audio": ["sound"], "data.split": "split",
             "data.allow_outside": True}  # fmt: skip
    opened = opening.open_run(table(tmp_path), given, RunSettings(), SETS, annotations=None)
    plan = preparing.prepare_run(opened, with_tokens=False).plan
    names = [m.name for m in plan.inputs.modalities]
    assert len(names) == 4 and plan.views.settings == AugmentSettings(views=3, numbers=0.5)
    clean = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[plan.train])
    shown = clean.with_views(plan.views, plan.train)
    batches = {}
    for epoch in (0, 1):
        shown.set_epoch(epoch)
        batches[epoch] = shown.__getitems__(list(range(14)))["inputs"]
    own = clean.__getitems__(list(range(14)))["inputs"]
    for name in names:
        is_same = np.array([same_row(own[name], batches[0][name], i) for i in range(14)])
        still = plan.views.of_epoch(0)[plan.train] == 0
        assert is_same[still].all(), name  # view 0 is the item itself in every modality
        assert not is_same[~still].all(), name
        again = shown.__getitems__(list(range(14)))["inputs"][name]
        assert all(same_row(again, batches[1][name], i) for i in range(14)), name
        assert not all(same_row(batches[0][name], batches[1][name], i) for i in range(14)), name
    assert {"word_BG"} <= set(batches[0]["text"])
    val = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[plan.val]).__getitems__([0, 1, 2])
    assert torch.equal(val["present"], torch.ones(3, 4, dtype=torch.bool))


def same_row(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], row: int) -> bool:
    """Whether a row's real values are equal in two batches, which may be padded to different lengths."""
    for key, tensor in one.items():
        a, b = tensor[row].float().reshape(-1), other[key][row].float().reshape(-1)
        width = max(len(a), len(b))
        a, b = (torch.nn.functional.pad(v, (0, width - len(v))) for v in (a, b))
        if not torch.allclose(a, b, atol=1e-5):
            return False
    return True
