"""Pretraining in a whole run: held against a network without it, said in the report, refused where it cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import QUICK
from fixtures.training import PowerCut, PowerCutError

SETS = [
    "fusion.width=16", "fusion.dropout=0", "train.baselines=false", "judge.missing_rows=0", "train.learning_rate=0.01",
    "train.threads=1", "train.modality_dropout=0", "train.batch_size=32", "pretrain.epochs=12",
]  # fmt: skip


def table(rows: int = 240, seed: int = 0) -> dict[str, list[Any]]:
    """Two vectors that share eight numbers; the label is in one number that the first alone has."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    shared, own = rng.normal(size=(rows, 8)), rng.normal(size=(2, rows, 64))
    left, right = (shared @ fixed.normal(size=(8, 64)) + one for one in own)
    alone = rng.choice([-1.0, 1.0], size=rows)
    left += alone[:, None] * fixed.normal(size=64)
    split = [("train", "val", "test", "test")[i % 4] for i in range(rows)]
    return {"left": left.tolist(), "right": right.tolist(), "y": ["a" if v > 0 else "b" for v in alone], "split": split}


def fitted(objective: str, given: dict[str, list[Any]], *more: str, output: Path | None = None, **options: Any) -> Any:
    options = {"preset": "single", "fusion": "concat", "epochs": 6, **options}
    return plait.fit(
        given, "y", vector=["left", "right"], split="split", output=output,
        set=[*SETS, f"pretrain.objective={objective}", *more], **options,
    )  # fmt: skip


@pytest.mark.parametrize("losses", [None, (0.5, 0.6), (0.5, 0.5)])
def test_the_better_of_with_and_without_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: tuple[float, float] | None
) -> None:
    """Alignment keeps what modalities share, which harms this label; or losses as given; equal ones keep the plain."""
    if losses is not None:
        told = iter(losses)
        monkeypatch.setattr("plait.ensemble.networks.validation_loss", lambda plan, model: next(told))
    given, kept = table(), losses is not None and losses[0] < losses[1]
    made = fitted("align", given, output=tmp_path / "m")
    plain = fitted("none", given)
    facts = made.report["pretraining"]
    assert (facts["objective"], facts["rows"], facts["unlabelled"], facts["epochs"]) == ("align", 60, 0, 12)
    assert facts["last"] < facts["first"] and facts["kept"] is kept
    assert (facts["validation_loss"] < facts["validation_loss_without"]) is kept
    assert made.settings.pretrain.objective == ("align" if kept else "none")
    same = np.array_equal(made.predict_proba(given), plain.predict_proba(given))
    assert same is not kept and "pretraining" not in plain.report
    assert (made.report["history"] == plain.report["history"]) is not kept
    notes = made.report["evaluation"]["notes"]
    said = [n for n in notes if "pretraining" in n]
    assert len(said) == 2 and said[0].startswith("pretraining (align) saw 60 rows without looking at their target, 12")
    assert ("pretrained one is kept" if kept else "one without is kept") in said[1]
    again = plait.load(tmp_path / "m")
    assert np.array_equal(again.predict_proba(given), made.predict_proba(given))
    assert json.loads((tmp_path / "m" / "report.json").read_text())["pretraining"] == facts
    assert not [k for k in again.model.state_dict() if "contrast" in k or "alignment" in k]


def test_one_seed_gives_one_run_and_members_stand_beside() -> None:
    given = table(120)
    first, second = (fitted("comm", given, preset="fast", epochs=3) for _ in range(2))
    assert first.report["pretraining"] == second.report["pretraining"]
    assert np.array_equal(first.predict_proba(given), second.predict_proba(given))
    assert {"network", "linear"} <= {m["kind"] for m in first.leaderboard()}


def test_a_run_that_was_cut_ends_as_the_straight_one(tmp_path: Path) -> None:
    """LeMDA beside it: what it learns is in the checkpoints too, and shows itself in training alone."""
    given, more = table(120), ("train.lemda=0.01", "pretrain.epochs=2")
    straight = fitted("comm", given, *more, epochs=3, output=tmp_path / "straight")
    assert straight.report["model"]["training aids"]["lemda"]["paper"] == "Liu et al. 2023"
    cut = PowerCut()
    with pytest.raises(PowerCutError):
        fitted("comm", given, *more, epochs=3, output=tmp_path / "cut", progress=cut)
    assert any(line.startswith("pretraining epoch 2/2") for line in cut.told)
    fitted("comm", given, *more, epochs=3, output=tmp_path / "cut", resume=True)
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name


def test_lemda_is_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="train.lemda changes vectors.*reads tokens.*'gated'.*train.lemda=0"):
        fitted("none", table(40), "train.lemda=0.01", fusion="co_attention", progress=_no_work)


def _no_work(done: int, total: int, what: str) -> None:
    raise AssertionError(what)


def test_without_validation_rows_it_is_kept_and_said() -> None:
    given = table(24)
    first = [given["y"].index(name) for name in ("a", "b")]  # one row a class: none is left to validate by
    given["split"] = ["train" if i in first else "test" for i in range(24)]
    made = fitted("masked", given)
    notes = made.report["evaluation"]["notes"]
    assert made.report["splits"].get("val", 0) == 0
    assert any("no validation rows compare it" in n for n in notes) and made.report["pretraining"]["kept"]


def test_numbers_and_mixed_kinds() -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=80)
    given = {
        "text": [f"the word {'big' if v > 0 else 'small'} {i % 5}" for i, v in enumerate(size)],
        "size": size.tolist(), "price": (2 * size + 1).tolist(),
    }  # fmt: skip
    made = plait.fit(
        given, "price", text="text", fusion="gated", epochs=2, preset="fast",
        set=[*QUICK, "pretrain.objective=comm", "pretrain.epochs=2", "judge.missing_rows=0"],
    )  # fmt: skip
    assert made.report["pretraining"]["rows"] == made.report["splits"]["train"]


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        ("comm", {"fusion": "late_mean"}, "trains the fused vector, and fusion 'late_mean' joins answers.*'concat'"),
        ("align", {"ignore": "right", "vector": ["left"]}, "works between modalities and needs two, got 1.*=none"),
        ("com", {}, "unknown objective 'com'.*comm"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(objective: str, options: dict[str, Any], message: str) -> None:
    options = {"vector": ["left", "right"], "fusion": "concat", **options}
    with pytest.raises(ValueError, match=message):
        plait.fit(table(40), "y", split="split", epochs=1, set=[*SETS, f"pretrain.objective={objective}"], **options)


def test_all_encoders_trained_leave_nothing_to_predict() -> None:
    given = {"text": [f"word {i % 7}" for i in range(40)], "size": [i % 9 / 7 for i in range(40)], "y": ["a", "b"] * 20}
    with pytest.raises(ValueError, match="masked predicts vectors of frozen encoders.*text.*comm"):
        plait.fit(given, "y", text="text", epochs=1, set=[*QUICK, "pretrain.objective=masked"])


def test_unlabelled_rows_may_be_seen_by_pretraining_alone() -> None:
    rows = table(80)
    more = {name: cells for name, cells in table(60, seed=5).items() if name not in ("y", "split")}
    made = fitted("align", rows, unlabelled=more, semi="none")
    assert made.report["pretraining"]["unlabelled"] == 60 and "unlabelled" not in made.report
    without = fitted("none", rows, unlabelled=more, semi="none")
    assert "semi=none, and no pretraining: the unlabelled rows were not read" in without.report["facts"]["notes"]


def test_unlabelled_rows_that_also_have_pseudo_labels() -> None:
    rows = table(80)
    more = {name: cells for name, cells in table(60, seed=5).items() if name not in ("y", "split")}
    made = fitted("align", rows, unlabelled=more)
    assert made.report["pretraining"]["unlabelled"] == 60 and made.report["unlabelled"]["rows"] == 60
