"""The model card: read back as hubs read it, true to the report, safe for any text, and kept where it is somebody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import plait
from fixtures.settings import QUICK
from plait.report.card import MARK, model_card

REPORT: dict[str, Any] = {
    "task": "classification", "target": "mood", "metric": {"name": "f1_macro"}, "verdict": "It *works* | mostly.",
    "schema": [
        {"name": "a|b`c", "kind": "text", "role": "input"}, {"name": "写真", "kind": "image", "role": "input"},
        {"name": "mood", "kind": "categorical", "role": "target"},
    ],
    "facts": {"source": "/home/somebody/secret place/posts 😀.csv", "rows": 1500, "fingerprint": "ab" * 32,
              "notes": [f"note {i} <script>" for i in range(15)]},
    "splits": {"train": 1100, "val": 200, "test": 200},
    "evaluation": {
        "rows": 200, "split": "test",
        "metrics": {
            "accuracy": {"value": 0.665, "low": 0.595, "high": 0.73},
            "f1_macro": {"value": 0.4263, "low": None, "high": None},
        },
        "alone": {"写真": {"f1_macro": {"value": 0.31, "low": 0.2, "high": 0.4}}, "empty": None},
        "members": [{"name": "fused", "weight": 0.4}, {"name": "idle one", "weight": 0}],
    },
    "model": {"encoders": [
        {"modality": "写真", "name": "timm:resnet18@/home/somebody/w.safetensors", "tuning": "full"},
        {"modality": "text", "name": "minilm", "tuning": "frozen"},
        {"modality": "more", "name": "hf:/home/somebody/bert", "tuning": "lora"},
    ]},
}  # fmt: skip


def test_the_block_in_front_is_what_hubs_read() -> None:
    text = model_card(REPORT, "Plait: classification of mood", {"minilm": "Apache-2.0"})
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "plait" and front["tags"] == [
        "plait",
        "multimodal",
        "classification",
        "text",
        "image",
    ]
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"name": "posts 😀.csv", "type": "table", "split": "test"}
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("f1_macro", 0.4263), ("accuracy", 0.665)]


def test_numbers_are_those_of_the_report_and_nothing_of_the_machine_is_told() -> None:
    text = model_card(REPORT, "Plait: classification of mood", {"minilm": "Apache-2.0"})
    assert "| Accuracy | 0.665 | 0.595 to 0.730 |" in text and "| 写真 alone | 0.310 | 0.200 to 0.400 |" in text
    assert "minilm, frozen, weights under Apache-2.0" in text and "trained by LoRA" in text
    assert "fused 0.400" in text and "idle one" not in text
    assert "1,500 rows (1,100 train, 200 val, 200 test)" in text
    assert "/home" not in text and "somebody" not in text and "bert" in text and "resnet18@w.safetensors" in text
    assert "<script>" not in text and r"It \*works\* \| mostly." in text and "and 3 more, in report.html" in text
    assert r"| `` a\|b`c `` | text | input |" in text


def test_a_report_with_nothing_in_it_makes_a_card_too() -> None:
    assert MARK in model_card({}, "Plait", {})


def test_a_saved_model_has_a_card_and_one_of_your_own_is_kept(tmp_path: Path) -> None:
    rows = {"size": [float(i % 7) for i in range(80)], "label": [f"c{int(i % 7 > 3)}" for i in range(80)]}
    fitted = plait.fit(rows, "label", output=tmp_path / "model", set=[*QUICK, "train.epochs=1"])
    card = tmp_path / "model" / "README.md"
    assert MARK in card.read_text("utf-8") and "| `size` | numeric | input |" in card.read_text("utf-8")
    assert "README.md" not in (tmp_path / "model" / "manifest.json").read_text("utf-8")
    card.write_bytes("我的模型 \xff".encode("latin-1", "ignore") + "自己的".encode())
    own = card.read_bytes()
    fitted.save(tmp_path / "model", overwrite=True)
    assert card.read_bytes() == own
    plait.load(tmp_path / "model")
    card.unlink()
    fitted.save(tmp_path / "model", overwrite=True)
    assert MARK in card.read_text("utf-8")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "README.md").write_text("of another project")
    with pytest.raises(ValueError, match="holds other files"):
        fitted.save(tmp_path / "taken")
