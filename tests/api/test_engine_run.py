"""A whole run with OpenVINO: chosen, written down, answers as PyTorch's; without it the model still works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.tiny_bert import tiny_bert
from plait.encoders import engine
from plait.inputs.feature_store import FeatureStore, engine_choice
from plait.inputs.feature_store.engine_choice import Gain

pytest.importorskip("openvino", reason="extra openvino")

SETS = [
    "encoders.max_length=8", "train.threads=1", "train.baselines=false", "judge.missing_rows=0", "train.min_steps=0",
    "fusion.width=8", "fusion.name=concat",
]  # fmt: skip


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    engine.forget()
    yield
    engine.forget()


@pytest.fixture
def bert(tmp_path: Path) -> str:
    return tiny_bert(tmp_path / "bert")


def rows() -> dict[str, list[str]]:
    return {
        "body": ["fast red car", "wet blue", "wet car", "fast sea"] * 8,
        "label": ["yes", "no"] * 16,
        "split": ["train"] * 20 + ["val"] * 6 + ["test"] * 6,
    }


def fit(bert: str, *more: str) -> plait.Plait:
    return plait.fit(
        rows(), "label", text=["body"], split="split", progress=False, set=[f"encoders.text={bert}", *SETS, *more]
    )


def engines(folder: Path) -> list[Any]:
    facts = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    return [one["frozen"]["engine"] for one in facts["modalities"]]


def test_chosen_written_down_and_equal(bert: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_torch = fit(bert, "encoders.engine=torch")
    assert engines(by_torch.save(tmp_path / "torch")) == ["torch"]
    few = fit(bert)  # few items: PyTorch, though OpenVINO is here
    assert engines(few.save(tmp_path / "few")) == ["torch"]
    named = fit(bert, "encoders.engine=openvino")
    folder = named.save(tmp_path / "named")
    assert engines(folder) == ["openvino"] and "engine: openvino" in (folder / "run.yaml").read_text(encoding="utf-8")
    assert len(FeatureStore().ls()) == 2
    assert np.allclose(named.predict_proba(rows()), by_torch.predict_proba(rows()), atol=1e-4)
    again = plait.load(folder)
    new = {"body": ["car wet", "blue blue sea"]}
    first = again.predict_proba(new)
    assert np.array_equal(first, named.predict_proba(new)) and len(engine.compiled_networks) >= 1
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    engine.forget()
    other = {"body": ["sea sea", "blue blue sea"]}
    elsewhere = plait.load(folder).predict_proba(other)  # a machine without it: PyTorch, which is said
    assert np.allclose(elsewhere[1], first[1], atol=1e-4)
    with pytest.raises(ValueError, match=r"cannot be encoded by OpenVINO: the package openvino is not installed"):
        plait.fit(
            {**rows(), "body": ["red sea", "sea", "blue", "wet sea"] * 8}, "label", text=["body"], split="split",
            progress=False, set=[f"encoders.text={bert}", *SETS, "encoders.engine=openvino"],
        )  # fmt: skip


def test_auto_with_many_items(bert: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_choice.GAINS, "text", Gain(0.5, 4))
    many = fit(bert)
    assert engines(many.save(tmp_path / "many")) == ["openvino"]
    assert np.array_equal(plait.load(tmp_path / "many").predict_proba(rows()), many.predict_proba(rows()))


def test_an_unknown_engine_is_refused(bert: str) -> None:
    with pytest.raises(ValueError, match="engine.*onnx"):
        fit(bert, "encoders.engine=onnx")
