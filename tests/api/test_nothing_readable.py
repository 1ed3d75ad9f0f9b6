"""A table of which nothing can be read, with an empty feature store: each row is answered and says why."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.media import red_or_blue, sound
from plait.encoders.checkpoint import quiet_transformers

hf = lazy("transformers")

pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def tiny(folder: Path) -> list[str]:
    """Frozen encoders of pictures and sounds, as settings."""
    torch.manual_seed(0)
    conv = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2,
            "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip
    with quiet_transformers():
        hf.ViTModel(hf.ViTConfig(**SMALL, image_size=32, patch_size=16)).save_pretrained(folder / "vit")
        hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SMALL, **conv)).save_pretrained(folder / "wav2vec2")
    return [f"encoders.image=hf:{folder / 'vit'}", f"encoders.audio=hf:{folder / 'wav2vec2'}"]


def rows(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "photo": red_or_blue(bool(i % 2), i),
            "photos": [red_or_blue(bool(i % 2), i + 50), red_or_blue(bool(i % 2), i + 100)],
            "call": sound(rng.normal(0, 0.1, 800).astype(np.float32), rate=8000),
            "feature": rng.normal(size=3).tolist(),
            "label": "yes" if i % 2 else "no",
        }
        for i in range(count)
    ]


BROKEN = {
    "photo": red_or_blue(True, 3)[:60], "photos": [red_or_blue(True, 3)[:60]], "call": b"RIFF no sound",
    "feature": [1.0, 2.0],
}  # fmt: skip


@pytest.fixture(scope="module", params=["concat", "self_attention"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The second one reads tokens."""
    folder = tmp_path_factory.mktemp("model")
    settings = ["train.epochs=1", "train.baselines=false", "train.threads=1", "judge.missing_rows=0",
                "encoders.image_size=32", f"fusion.name={request.param}", *tiny(folder)]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder / "cache"))
        return plait.fit(
            rows(20), "label", image="photo", image_set="photos", audio="call", vector="feature", set=settings
        )


@pytest.mark.parametrize("broken", [["photo"], ["photos"], ["call"], ["feature"], list(BROKEN)])
def test_each_row_is_answered_as_if_the_cell_were_missing(model: Any, broken: list[str], cache: Path) -> None:
    """The rows hold nothing else than what is broken."""
    empty = dict.fromkeys(BROKEN)
    given = [{**empty, **{name: BROKEN[name] for name in broken}}] * 2
    shutil.rmtree(cache, ignore_errors=True)
    made = model.predict(given)
    assert made.num_rows == 2
    for problem in made.column("problem").to_pylist():
        assert all(name in problem for name in broken), problem
    nothing = model.predict([empty, empty])
    for name in ("probability_no", "probability_yes"):
        assert made.column(name).to_pylist() == nothing.column(name).to_pylist()
        assert np.isfinite(made.column(name).to_numpy()).all()


def test_a_broken_row_changes_nothing_for_the_others(model: Any, cache: Path) -> None:
    good = [{k: v for k, v in row.items() if k != "label"} for row in rows(3)]
    wanted = model.predict_proba(good)
    made = model.predict([*good, BROKEN])
    assert [p is None for p in made.column("problem").to_pylist()] == [True, True, True, False]
    found = np.stack([made.column(f"probability_{c}").to_numpy() for c in ("no", "yes")], axis=1)
    assert np.allclose(found[:3], wanted, atol=1e-6)
