"""The weights that a fusion gives the modalities stand in the report, by the numbers that the fusion gave."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.evaluation.fusion_weights import _of_one
from plait.report import write_report

QUICK = {
    "train.threads": 1, "judge.missing_rows": 0, "train.baselines": False, "encoders.text": "scratch:text",
    "fusion.width": 8,
}  # fmt: skip
TABLE = {
    "text": ["rain" if i % 2 else "sun" for i in range(60)], "size": [i % 7 for i in range(60)],
    "label": ["wet" if i % 2 else "dry" for i in range(60)],
}  # fmt: skip


@pytest.mark.parametrize("fusion", ["gated", "concat"])
def test_weights_stand_in_the_report(fusion: str, tmp_path: Path) -> None:
    model = plait.fit(TABLE, "label", text="text", numeric="size", fusion=fusion, epochs=1, set=QUICK)
    notes = model.report["evaluation"]["notes"]
    assert sum(f"fusion='{fusion}' answers alone" in note and "preset='fast'" in note for note in notes) == 1
    found = model.report["evaluation"].get("fusion_weights")
    page = write_report(tmp_path / "p.html", model.report, title="T", lang="zh")[0].read_text("utf-8")
    if fusion == "concat":
        assert found is None and "融合的权重" not in page
        return
    seen: list[np.ndarray] = []
    hook = model.model.fusion.register_forward_hook(lambda _m, _i, out: seen.append(out.weights_BM.detach().numpy()))
    model.evaluate(TABLE, rows="test")
    hook.remove()
    asked = seen[0]  # the first pass judges everything
    assert [m["modality"] for m in found["modalities"]] == ["text", "tabular"]
    assert [m["mean"] for m in found["modalities"]] == pytest.approx(asked.mean(0).tolist(), abs=1e-6)
    assert sum(m["mean"] for m in found["modalities"]) == pytest.approx(1.0, abs=1e-5)
    assert found["rows"] == len(asked) and re.search("融合的权重", page) and "九成的行" in page


def test_mean_and_spread_by_hand() -> None:
    found = _of_one("a", np.array([0.2, 0.4, 0.6]))
    assert (found["rows"], found["mean"], found["standard_deviation"]) == (3, pytest.approx(0.4), pytest.approx(0.2))
    assert (found["low"], found["high"]) == (pytest.approx(0.22), pytest.approx(0.58))
    assert _of_one("a", np.zeros(0))["mean"] is None
