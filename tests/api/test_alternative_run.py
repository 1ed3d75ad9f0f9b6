"""Two fusions trained, the one that answers validation rows better kept: on an XOR that an additive one cannot see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait

QUICK = [
    "fusion.width=16", "fusion.dropout=0", "train.baselines=false", "judge.missing_rows=0", "train.learning_rate=0.02",
    "train.modality_dropout=0", "train.batch_size=32",
]  # fmt: skip


def xor(count: int = 240) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(count, 2))
    noise = rng.normal(scale=0.1, size=(2, count, 4))
    left, right = (signs[:, m : m + 1] * np.array([1.0, -1.0, 0.5, -0.5]) + noise[m] for m in range(2))
    return {
        "left": left.tolist(), "right": right.tolist(),
        "label": ["same" if s > 0 else "other" for s in signs.prod(1)],
        "split": [("train", "train", "val", "test")[i % 4] for i in range(count)],
    }  # fmt: skip


def fitted(first: str, second: str, output: Path | None = None, **options: Any) -> Any:
    return plait.fit(
        xor(), "label", vector=["left", "right"], split="split", fusion=first, epochs=8, output=output,
        set=[*QUICK, f"fusion.alternative={second}"], **options,
    )  # fmt: skip


@pytest.mark.parametrize(("first", "second"), [("weighted_sum", "product"), ("product", "weighted_sum")])
def test_the_fusion_that_validation_rows_prefer_is_kept(tmp_path: Path, first: str, second: str) -> None:
    made = fitted(first, second, tmp_path / "m")
    assert made.settings.fusion.name == "product" and made.settings.fusion.alternative == "none"
    assert made.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.95
    told = [n for n in made.report["evaluation"]["notes"] if "were both trained" in n]
    assert len(told) == 1 and f"fusions {first} and {second}" in told[0] and "product is kept" in told[0]
    again = plait.load(tmp_path / "m")
    assert again.predict(xor(12)).equals(made.predict(xor(12)))
    assert json.loads((tmp_path / "m" / "report.json").read_text())["history"] == made.report["history"]


def test_the_kept_fusion_is_the_one_that_is_trained_alone() -> None:
    chosen, alone = fitted("weighted_sum", "product"), fitted("product", "none")
    assert chosen.report["history"] == alone.report["history"]
    np.testing.assert_array_equal(chosen.predict_proba(xor(12)), alone.predict_proba(xor(12)))


def test_members_stand_beside_the_kept_fusion() -> None:
    made = fitted("weighted_sum", "product", preset="fast")
    assert made.settings.fusion.name == "product" and {"network", "linear"} <= {m["kind"] for m in made.leaderboard()}
    assert made.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.95


def test_a_chosen_transform_of_the_target_holds_for_the_kept_network() -> None:
    """It was chosen after both were trained, and the network then answered on another scale than it had learned."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 300, 8))
    price = np.exp(2 * left[:, 0] + right[:, 0])
    made = plait.fit(
        {"left": left.tolist(), "right": right.tolist(), "price": price.tolist()}, "price", vector=["left", "right"],
        fusion="gated", epochs=10, preset="fast", set=[*QUICK, "fusion.alternative=concat"],
    )  # fmt: skip
    assert made.settings.task.transform in ("log", "quantile")
    network = next(m for m in made.leaderboard() if m["kind"] == "network")
    assert network["validation"] > 0.2


@pytest.mark.parametrize(
    ("second", "message"),
    [("prodct", "unknown fusion 'prodct'. Did you mean 'product'"), ("weighted_sum", "is the fusion itself")],
)
def test_an_alternative_that_is_none_is_refused(second: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted("weighted_sum", second)
