"""Judging without modalities: hidden is the same as lacking, curves by hand, planted data that loses what it must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.fusion_variants import FOUR
from fixtures.tiny_models import build_model, encoded_modalities
from plait.data.missingness import hide_at_random, hide_not_at_random
from plait.data.table import Table, read_table
from plait.inference.forward import predict_logits, predict_present
from plait.inputs.dataset import RowBatches, TensorSource
from plait.metrics.robustness import effective_robustness, relative_robustness
from plait.report import write_report

WORDS = {True: "sunny and warm", False: "rainy and cold"}
QUICK = [
    "encoders.text=scratch:text", "encoders.max_length=16", "train.threads=1", "train.epochs=12", "fusion.width=16",
    "train.patience=0", "train.batch_size=16", "train.learning_rate=0.003",
]  # fmt: skip


def planted(num_rows: int = 300, seed: int = 0) -> Table:
    """Four classes of two bits, one told by the text and one by the number: each alone is right in half of the rows."""
    rng = np.random.default_rng(seed)
    text, number = rng.random(num_rows) < 0.5, rng.random(num_rows) < 0.5
    split = ["train"] * (num_rows * 2 // 3) + ["test"] * (num_rows - num_rows * 2 // 3)
    return read_table(
        {
            "note": [f"day {i} was {WORDS[bool(t)]}" for i, t in enumerate(text)],
            "size": (np.where(number, 1.0, -1.0) * rng.uniform(0.5, 1.5, num_rows)).tolist(),
            "label": [f"{int(t)}{int(n)}" for t, n in zip(text, number, strict=True)],
            "split": split,
        }
    )


def fit(table: Table, *settings: str) -> plait.Plait:
    return plait.fit(table, "label", text=["note"], numeric=["size"], split="split", set=[*QUICK, *settings])


def by_pattern(evaluation: dict[str, Any]) -> dict[tuple[str, ...], float]:
    return {tuple(p["present"]): p["metrics"]["accuracy"]["value"] for p in evaluation["missing"]["hidden"]}


@pytest.fixture(scope="module")
def whole() -> plait.Plait:
    return fit(planted())


def test_planted_patterns_and_curve(whole: plait.Plait) -> None:
    evaluation = whole.report["evaluation"]
    missing, found = evaluation["missing"], by_pattern(evaluation)
    assert set(found) == {("note", "tabular"), ("note",), ("tabular",)}
    full = next(h for h in missing["hidden"] if not h["missing"])
    assert full["metrics"]["accuracy"] == evaluation["metrics"]["accuracy"]  # one number, one interval
    assert found["note", "tabular"] == evaluation["metrics"]["accuracy"]["value"] > 0.95
    for part in ("note", "tabular"):
        assert 0.35 < found[part,] < 0.65  # one bit of two
    assert missing["rows"] == missing["of"] == 100 and missing["chance"] == evaluation["chance"]
    curve = missing["curve"]
    assert curve["levels"] == pytest.approx([i / 10 for i in range(10)])
    assert curve["scores"][0] == found["note", "tabular"]
    # at level p a row keeps both with (1-p)^2 and one otherwise: accuracy 1 - (1 - (1-p)^2) / 2
    wanted = [1 - (1 - (1 - p) ** 2) / 2 for p in curve["levels"]]
    assert curve["scores"] == pytest.approx(wanted, abs=0.1)
    assert curve["relative_robustness"] == pytest.approx(relative_robustness(curve["levels"], curve["scores"]))
    wanted_gap = effective_robustness(curve["levels"], curve["scores"], curve["late"])
    assert curve["effective_robustness"] == pytest.approx(wanted_gap)
    low, high = curve["effective_interval"]
    assert low <= wanted_gap <= high and high - low < 0.3 and f"[{low:+.3f}, {high:+.3f}]" in missing["sentence"]
    assert missing["occurring"] == [{"present": ["note", "tabular"], "rows": 100, "metrics": evaluation_primary(whole)}]
    assert "relative robustness 0." in missing["sentence"] and "late fusion" in missing["sentence"]
    json.dumps(missing)


def evaluation_primary(fitted: plait.Plait) -> dict[str, float]:
    return {"accuracy": fitted.report["evaluation"]["metrics"]["accuracy"]["value"]}


def test_each_pattern_is_what_the_table_without_the_column_gives(whole: plait.Plait) -> None:
    test = planted().take(range(200, 300))
    found = by_pattern(whole.report["evaluation"])
    for part, gone in (("note", "size"), ("tabular", "note")):
        lacking = Table(test.arrow.drop_columns([gone]), test.root, test.source)
        predicted = whole.predict(lacking).column("prediction").to_pylist()
        assert np.mean([p == t for p, t in zip(predicted, test.column("label"), strict=True)]) == found[part,]


@pytest.mark.parametrize("absence", ["mask", "learned"])
@pytest.mark.parametrize("fusion", FOUR)
def test_lacking_is_hidden_bit_for_bit(fusion: str, absence: str) -> None:
    import torch

    torch.manual_seed(0)
    model = build_model(encoded_modalities({"a": 5, "b": 6}, 4), fusion, absence=absence, num_outputs=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    sources = {
        n: TensorSource(
            {
                "vector_BD": torch.randn(30, d),
                "tokens_BTD": torch.randn(30, 3, 4),
                "mask_BT": torch.ones(30, 3, dtype=torch.bool),
            }
        )
        for n, d in (("a", 5), ("b", 6))
    }
    index = np.arange(30)[:, None].repeat(2, 1)
    index[:4, 0], index[3:6, 1] = -1, -1  # row 3 has nothing
    rows = RowBatches(sources, index)
    allowed = np.array([[True, True], [False, True], [True, False]])
    together = predict_present(model, rows, np.broadcast_to(allowed[:, None], (3, 30, 2)), batch_size=8)
    for p, hide in enumerate(((), (0,), (1,))):
        hidden = predict_logits(model, rows, hide=hide, batch_size=8)
        lacking = index.copy()
        lacking[:, list(hide)] = -1
        assert np.array_equal(together[p], hidden)
        assert np.array_equal(predict_logits(model, RowBatches(sources, lacking), batch_size=8), hidden)
    assert model.training


@pytest.mark.parametrize(
    ("how", "absence"),
    [
        pytest.param("MCAR", "mask", marks=pytest.mark.slow),
        ("MNAR", "learned"),
        pytest.param("MCAR", "learned", marks=pytest.mark.slow),
        pytest.param("MNAR", "mask", marks=pytest.mark.slow),
    ],
)
def test_trained_with_gaps_every_pattern_still_beats_chance(how: str, absence: str) -> None:
    table, learned_on = planted(360), range(240)
    if how == "MCAR":
        gaps, hidden = hide_at_random(table, {"note": 0.4, "size": 0.4}, rows=learned_on, keep_one=True)
    else:
        rate = {"00": 0.8, "01": 0.4, "10": 0.3, "11": 0.1}.__getitem__
        gaps, hidden = hide_not_at_random(table, ["note", "size"], rate, by="label", rows=learned_on, keep_one=True)
    assert 0.25 < np.mean([h[:240] for h in hidden.values()]) < 0.45
    fitted = fit(gaps, f"fusion.absence={absence}", "train.baselines=false", "ensemble.members=[]")
    found = by_pattern(fitted.report["evaluation"])
    chance = fitted.report["evaluation"]["missing"]["chance"]
    assert chance < 0.33
    assert found["note", "tabular"] > chance + 0.3
    assert min(found["note",], found["tabular",]) > chance + 0.06
    assert fitted.settings.fusion.absence == absence
    curve = fitted.report["evaluation"]["missing"]["curve"]
    assert curve["late"] is None and curve["effective_robustness"] is None and curve["relative_robustness"] > 0.5


def test_saved_with_learned_absence_answers_bit_equal(tmp_path: Path) -> None:
    table = planted(90)
    fitted = fit(table, "fusion.absence=learned", "train.epochs=2", "train.modality_dropout={note: 0.5}")
    again = plait.load(fitted.save(tmp_path / "model"))
    lacking = Table(table.arrow.drop_columns(["note"]), None, "t")
    for rows in (table, lacking):
        assert np.array_equal(fitted.predict_proba(rows), again.predict_proba(rows))
    assert again.model.config.modality_dropout == {"note": 0.5} and again.model.absence is not None
    assert "note from 50%" in " ".join(again.explain(table, rows="test", emap_evaluations=0, permutations=0)["notes"])


def test_gaps_that_occur_are_counted_and_big_tables_sampled() -> None:
    table, hidden = hide_at_random(planted(150), {"note": 0.3}, seed=4)
    fitted = fit(table, "train.epochs=2", "judge.missing_rows=20", "judge.missing_step=0.5", "judge.missing_draws=2")
    missing = fitted.report["evaluation"]["missing"]
    gone = int(hidden["note"][100:].sum())
    assert [(p["present"], p["rows"]) for p in missing["occurring"]] == [
        (["note", "tabular"], 50 - gone),
        (["tabular"], gone),
    ]
    assert (missing["rows"], missing["of"]) == (20, 50) and "20 of 50 judged rows" in missing["notes"][0]
    assert missing["curve"]["levels"] == [0.0, 0.5] and missing["curve"]["draws"] == 2
    alone = next(p for p in missing["hidden"] if p["present"] == ["note"])
    assert alone["rows_with_nothing"] > 0
    off = fit(table, "train.epochs=1", "judge.missing_rows=0", "train.baselines=false")
    assert off.report["evaluation"]["missing"] is None


def test_hiding_at_a_level_keeps_one_drawn_evenly() -> None:
    from plait.evaluation.missing import hide_at_level

    present = np.ones((30_000, 3), dtype=bool)
    present[:10_000, 2] = False
    present[:5] = False
    kept = hide_at_level(present, 0.5, np.random.default_rng(0))
    assert not (kept & ~present).any() and not kept[:5].any() and kept[5:].any(1).all()
    # of two: kept with 1/2, and with 1/2 in the quarter of the rows that would lose both; of three: 1/2 + 1/8 / 3
    assert kept[5:10_000, :2].mean(0) == pytest.approx([0.625] * 2, abs=0.015)
    assert kept[10_000:].mean(0) == pytest.approx([0.5 + 0.125 / 3] * 3, abs=0.012)
    assert np.array_equal(hide_at_level(present, 0.0, np.random.default_rng(0)), present)


def test_late_fusion_is_the_mean_over_what_is_present() -> None:
    from plait.evaluation.missing import mean_of_present

    outputs = np.array([[[0.8, 0.2]] * 3, [[0.4, 0.6]] * 3])
    present = np.array([[True, True], [False, True], [False, False]])
    wanted = [[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]]
    np.testing.assert_allclose(mean_of_present(outputs, present), wanted, atol=1e-12)


def test_patterns_and_counts() -> None:
    from plait.evaluation.missing import _patterns, _sizes

    assert len(_patterns(4, [])) == 15 and len(_patterns(5, [])) == 31
    houses = _sizes(["image"] * 4 + ["tabular"], np.random.default_rng(0))
    images = [(s["missing"], s["all"], len(p)) for s, p in houses if s["kind"] == "image"]
    assert images == [(0, 1, 1), (1, 4, 4), (2, 6, 6), (3, 4, 4), (4, 1, 1)]
    assert all(p[4] for s, chosen in houses if s["kind"] == "image" for p in chosen)  # the numbers stay
    everything = [(s["missing"], s["all"], len(p)) for s, p in houses if s["kind"] == "modality"]
    assert everything == [(0, 1, 1), (1, 5, 5), (2, 10, 6), (3, 10, 6), (4, 5, 5)]
    assert all(p.count(False) == s["missing"] for s, chosen in houses for p in chosen)
    assert _sizes(["text", "image"], np.random.default_rng(0)) == []
    eight = _sizes(["image"] * 8, np.random.default_rng(0))
    asked = _patterns(8, [p for _, chosen in eight for p in chosen])
    assert len(asked) == len(set(asked)) < 60 and asked[0] == (True,) * 8


def test_many_modalities_are_judged_by_chosen_patterns_with_draws_asked_anew() -> None:
    rng = np.random.default_rng(0)
    columns: dict[str, list[object]] = {
        f"t{i}": [f"word{int(v)} here" for v in rng.integers(0, 3, 60)] for i in range(6)
    }
    columns["label"] = [str(int(r)) for r in rng.integers(0, 2, 60)]
    table = read_table(columns)
    fitted = plait.fit(table, "label", text=[f"t{i}" for i in range(6)],
                       set=[*QUICK, "train.epochs=1", "train.baselines=false", "judge.missing_step=0.3"])  # fmt: skip
    missing = fitted.report["evaluation"]["missing"]
    assert len(missing["hidden"]) == 12 and len(missing["counts"]) == 6
    assert [c["of_subsets"] for c in missing["counts"]] == [1, 6, 15, 20, 15, 6]
    assert None not in missing["curve"]["scores"] and len(missing["curve"]["scores"]) == 4


def test_page_and_command_show_it(whole: plait.Plait, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, _ = write_report(tmp_path, whole.report, title="t")
    text = page.read_text("utf-8")
    assert '<h2 id="missing-title">With modalities missing</h2>' in text
    section = text.split('<section id="missing"')[1].split("</section>")[0]
    curve = whole.report["evaluation"]["missing"]["curve"]
    for said in (
        "note + tabular",
        "late fusion",
        "on 100 judged rows",
        "Relative robustness",
        "5 draws a level",
        ">0.8<",
    ):
        assert said in section, said
    assert section.count("<polyline") == 2 and f"{curve['relative_robustness']:.2f}" in section
    from plait.cli.report import show_report

    show_report(whole.report, False, {})
    assert "with modalities missing: relative robustness 0." in capsys.readouterr().out


def test_page_without_it_or_with_hostile_names(tmp_path: Path) -> None:
    evil = "<script>x</script>"
    part = {
        "metric": evil, "rows": 2, "of": 9, "chance": None, "sentence": evil, "notes": [evil],
        "occurring": [{"present": [evil], "rows": 1, "metrics": {evil: 0.5}}, {"present": [], "rows": 1}],
        "hidden": [{"present": [evil, "b", "c"], "missing": [evil], "rows_with_nothing": 3, "metrics": {evil: 0.5}}],
        "counts": [{"kind": evil, "missing": 1, "among": 2, "subsets": 1, "of_subsets": 2, "metrics": {}}],
        "curve": {"levels": [0, 0.5], "scores": [None, 0.5], "late": None, "draws": 5},
    }  # fmt: skip
    page, _ = write_report(tmp_path / "a", {"evaluation": {"missing": part}}, title="t")
    text = page.read_text("utf-8")
    assert "<script" not in text and "all but &lt;script" in text and "on 2 of 9 judged rows" in text
    plain, _ = write_report(tmp_path / "b", {"evaluation": {"missing": None}}, title="t")
    assert 'id="missing"' not in plain.read_text("utf-8")
