"""Pictures and sounds that are held in memory go the whole way: fit, predict, evaluate, explain."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fixtures.lazy import lazy
from fixtures.settings import QUICK

plait = lazy("plait")


def row(number: int) -> dict[str, object]:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
    pixels[:, :, number % 2] += 150
    tone = 0.5 * np.sin(np.arange(800) * (0.2 if number % 2 else 1.2)).astype(np.float32)
    return {
        "photo": Image.fromarray(pixels) if number % 3 else pixels,
        "call": {"array": tone + rng.normal(0, 0.01, 800).astype(np.float32), "sampling_rate": 8000, "path": None},
        "label": ["red", "green"][number % 2],
    }


def test_rows_in_memory_are_fitted_predicted_evaluated_and_explained() -> None:
    pytest.importorskip("soundfile", reason="extra audio")
    rows = [row(number) for number in range(24)]
    model = plait.fit(
        rows, target="label", epochs=3,
        set=[*QUICK, "encoders.audio=scratch:audio", "encoders.audio_seconds=0.4"],
    )  # fmt: skip
    assert [(m.name, m.kind) for m in model.inputs.modalities] == [("photo", "image"), ("call", "audio")]
    told = model.predict(rows)
    assert told["prediction"].to_pylist() == [one["label"] for one in rows] and told["problem"].null_count == 24
    alone = model.predict(rows[0])
    assert alone["probability_red"].to_pylist() == pytest.approx(told["probability_red"].to_pylist()[:1], abs=1e-5)
    assert model.predict({"photo": np.asarray(rows[0]["photo"])})["prediction"].to_pylist() == ["red"]
    heard = [model.predict({"call": one["call"]})["probability_red"][0].as_py() for one in rows[:2]]
    assert abs(heard[0] - heard[1]) > 1e-3  # samples are heard, not counted as empty
    assert model.evaluate(rows, rows="all")["evaluation"]["metrics"]["accuracy"]["value"] == 1.0
    assert model.explain(rows[:8], permutations=1, draws=1, examples=2)["modalities"] == ["photo", "call"]
