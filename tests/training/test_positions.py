"""``fusion.positions`` from settings to answers: sequences of ready vectors, sets, and models saved without codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK

load_network = lazy("plait.api.model_folder", "load_network")

SMALL = [
    "fusion.width=32", "fusion.dropout=0.0", "train.learning_rate=0.01", "train.batch_size=32", "train.patience=0",
    "train.baselines=false", "train.threads=1", "train.modality_dropout=0.0",
]  # fmt: skip


def ordered_table(rows: int = 400) -> dict[str, list[Any]]:
    """Two vectors in some order, and a number that tells nothing; the label says which comes first."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, rows)
    pair = np.array([[2.0, -1.0, 0.5], [-1.0, 1.0, 2.0]])
    frames = [(pair[::-1] if f else pair) + 0.1 * rng.normal(size=(2, 3)) for f in first]
    return {
        "frames": [f.tolist() for f in frames], "idle": rng.normal(size=rows).tolist(),
        "label": ["second" if f else "first" for f in first],
        "split": ["train" if i < 280 else "val" if i < 320 else "test" for i in range(rows)],
    }  # fmt: skip


@pytest.mark.parametrize(("positions", "low", "high"), [("auto", 0.95, 1.0), ("none", 0.3, 0.7)])
def test_a_fit_learns_which_comes_first_unless_rows_are_bags(positions: str, low: float, high: float) -> None:
    table = ordered_table()
    fitted = plait.fit(
        table, "label", split="split", vector="frames", numeric="idle", fusion="co_attention", epochs=8,
        set=[*SMALL, f"fusion.positions={positions}"],
    )  # fmt: skip
    accuracy = fitted.evaluate(table)["evaluation"]["metrics"]["accuracy"]["value"]
    assert low <= accuracy <= high
    orders = {m["name"]: m.get("order") for m in fitted.model.config.modalities}
    assert orders["frames"] == ("sequence" if positions == "auto" else None) and orders["tabular"] is None


def test_pictures_are_grids_and_sets_of_them_bags(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(4):
        Image.new("RGB", (16, 16), (60 * i, 90, 120)).save(tmp_path / f"{i}.png")
    table = {
        "one": [str(tmp_path / f"{i % 4}.png") for i in range(24)],
        "many": [[str(tmp_path / f"{i % 4}.png"), str(tmp_path / f"{i % 3}.png")] for i in range(24)],
        "label": ["yes" if i % 2 else "no" for i in range(24)],
    }
    fitted = plait.fit(
        table, "label", image="one", image_set="many", fusion="perceiver", epochs=1, output=tmp_path / "model",
        allow_outside=True,
        set=[*QUICK, "encoders.image_size=32", "fusion.width=8"],
    )  # fmt: skip
    orders = {m["name"]: m.get("order") for m in fitted.model.config.modalities}
    assert orders == {"one": "grid", "many": None}
    again = plait.load(tmp_path / "model")
    answers = again.predict_proba(table, allow_outside=True)
    assert np.isfinite(answers).all() and np.array_equal(answers, fitted.predict_proba(table, allow_outside=True))


def test_a_model_saved_before_positions_has_none(tmp_path: Path) -> None:
    table = ordered_table(40)
    plait.fit(
        table, "label", split="split", vector="frames", numeric="idle", fusion="perceiver", epochs=1,
        output=tmp_path / "model", set=[*SMALL, "fusion.positions=none"],
    )  # fmt: skip
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert all("order" not in m for m in config["modalities"])
    run = tmp_path / "model" / "run.yaml"
    lines = run.read_text().splitlines()
    run.write_text("\n".join(line for line in lines if "positions:" not in line))  # an older version's folder
    (tmp_path / "model" / "manifest.json").unlink()
    inputs = json.loads((tmp_path / "model" / "inputs.json").read_text())
    del inputs["format"]
    (tmp_path / "model" / "inputs.json").write_text(json.dumps(inputs))
    assert not load_network(tmp_path / "model").fusion.sequences.codes
    with pytest.warns(UserWarning, match="without a manifest"):
        assert len(plait.load(tmp_path / "model").predict(table)) == 40
