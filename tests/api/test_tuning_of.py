"""A column's encoder learns while another column's, of the same reference, stays frozen and is read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.tiny_bert import tiny_bert
from plait.data.modality import Modality
from plait.settings import EncoderSettings, RunSettings, set_values

torch = lazy("torch")
load_inputs = lazy("plait.inputs.inputs", "load_inputs")
LAYERS = 3
SETS = [
    "encoders.max_length=8", "train.threads=1", "train.baselines=false", "judge.missing_rows=0", "train.min_steps=0",
    "fusion.width=8", "fusion.name=concat",
]  # fmt: skip


@pytest.fixture
def bert(tmp_path: Path) -> str:
    """A BERT of three layers, as a reference."""
    return tiny_bert(tmp_path / "bert", LAYERS)


def rows() -> dict[str, list[str]]:
    return {
        "title": ["red car", "blue sea"] * 16,
        "body": ["fast", "wet", "wet car", "fast sea"] * 8,
        "label": ["yes", "no"] * 16,
        "split": ["train"] * 20 + ["val"] * 6 + ["test"] * 6,
    }


def fit(bert: str, *more: str, **options: Any) -> tuple[plait.Plait, set[str]]:
    """A model, and what was going on while it was made."""
    seen: set[str] = set()
    fitted = plait.fit(
        rows(), "label", text=["title", "body"], split="split", progress=lambda done, total, what: seen.add(what),
        set=[f"encoders.text={bert}", *SETS, *more], **options,
    )  # fmt: skip
    return fitted, seen


@pytest.mark.parametrize(
    "chosen", [["encoders.tuning_of.title=last_n"], ["encoders.tuning=last_n", "encoders.tuning_of.body=frozen"]]
)
def test_one_column_learns_and_the_other_is_read_from_the_store(
    chosen: list[str], bert: str, tmp_path: Path, cache: Path
) -> None:
    first, seen = fit(bert, *chosen, "encoders.last_n=1", "train.encoder_learning_rate=0.01", epochs=2)
    assert any("encod" in what for what in seen), seen  # body, once
    assert set(first.inputs.frozen) == {"body"} and set(first.inputs.live) == {"title"}
    tunings = {e["modality"]: e["tuning"] for e in first.report["model"]["encoders"]}
    assert tunings == {"title": "last_n", "body": "frozen"}
    second, seen = fit(bert, *chosen, "encoders.last_n=1", "train.encoder_learning_rate=0.01", epochs=2)
    assert not any("encod" in what for what in seen), seen
    assert np.array_equal(first.predict_proba(rows()), second.predict_proba(rows()))


def test_only_the_last_block_of_the_tuned_column_moves_and_is_saved(bert: str, tmp_path: Path, cache: Path) -> None:
    fitted, _ = fit(bert, "encoders.tuning_of.title=last_n", "encoders.last_n=1", "train.encoder_learning_rate=0.01")
    before = dict(fitted.inputs.frozen["body"].named_parameters())  # the same weights, which nothing has touched
    assert list(fitted.model.encoders) == ["0"] and fitted.model.config.modality_names[0] == "title"
    after = dict(fitted.model.encoders["0"].named_parameters())
    moved = {name for name, p in after.items() if not torch.equal(p.detach().cpu(), before[name].detach())}
    assert moved and all(f"layer.{LAYERS - 1}." in name for name in moved if "layer." in name), sorted(moved)
    assert not any("embed" in name for name in moved)
    again = plait.load(fitted.save(tmp_path / "model"))
    for name, weight in again.model.encoders["0"].named_parameters():
        assert torch.equal(weight, after[name].cpu()), name
    assert np.array_equal(fitted.predict_proba(rows()), again.predict_proba(rows()))
    assert "tuning_of:\n    title: last_n" in (tmp_path / "model" / "run.yaml").read_text(encoding="utf-8")


def test_the_report_says_what_is_tuned_and_how(bert: str, cache: Path) -> None:
    fitted, _ = fit(bert, "encoders.tuning_of.title=full")
    notes = " ".join(fitted.report["evaluation"]["notes"])
    assert "title (full)" in notes and "stays frozen: body" in notes
    assert "rate 2e-05" in notes and "3 epochs" in notes and "factor 0.9" in notes
    train = fitted.settings.train
    assert (train.encoder_learning_rate, train.learning_rate, train.layer_decay, train.epochs) == (2e-5, 1e-3, 0.9, 3)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"titel": "last_n"}, "encoders.tuning_of 'titel'. Did you mean 'title'"),
        ({"number": "full"}, "column with an encoder in encoders.tuning_of"),
        ({"own": "frozen"}, "own is frozen, but its encoder scratch:text begins from scratch"),
    ],
)
def test_columns_that_cannot_be_tuned_so_are_refused(named: dict[str, str], said: str, bert: str) -> None:
    modalities = (
        Modality("title", "text", ("title",)), Modality("own", "text", ("own",)),
        Modality("tabular", "tabular", ("number",)),
    )  # fmt: skip
    settings = EncoderSettings(text=bert, columns={"own": "scratch:text"}, tuning_of=named)
    with pytest.raises(ValueError, match=said):
        load_inputs(modalities, settings, with_tokens=False, max_pixels=1000)


def test_a_mistyped_tuning_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"encoders.tuning_of.title.*Did you mean 'lora'"):
        set_values(RunSettings(), ["encoders.tuning_of.title=lorra"])
