"""The answer to nothing: the training prior stands for it, so modalities are worth what they add to guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.explain.measure import measure_named
from plait.explain.modality import explain_subject
from plait.explain.subject import Subject
from plait.report.explanation import headline

class_shares, target_means = lazy("plait.tasks.families", "class_shares", "target_means")
FEW: dict[str, Any] = {"permutations": 2, "emap_evaluations": 0, "resamples": 60}


def odd_when_empty(truth: np.ndarray, *, uses: bool, prior: bool) -> Subject:
    """Two modalities; given nothing it answers the rarest class, given the first one the truth (or the commonest)."""
    rare, common = np.array([0.0, 0.0, 9.0]), np.array([9.0, 0.0, 0.0])

    def scores_of(rows_BM: np.ndarray) -> np.ndarray:
        known = 9.0 * np.eye(3)[truth[np.maximum(rows_BM[:, 0], 0)]] if uses else np.tile(common, (len(rows_BM), 1))
        there = rows_BM[:, :1] >= 0 if uses else rows_BM.max(axis=1, keepdims=True) >= 0
        made: np.ndarray = np.where(there, known, rare)
        return made

    shares = np.bincount(truth, minlength=3) / len(truth)
    return Subject(
        ("text", "photo"), scores_of, np.ones((len(truth), 2), dtype=bool), truth, measure_named("classification"),
        ("a", "b", "c"), prior=shares if prior else None,
    )  # fmt: skip


TRUTH = np.array([0] * 62 + [1] * 31 + [2] * 7)


def test_a_model_that_adds_nothing_to_guessing_has_nothing_to_explain() -> None:
    """Without a prior the odd answer to nothing (7 % right) makes two worthless modalities worth 55 points."""
    before = explain_subject(odd_when_empty(TRUTH, uses=False, prior=False), **FEW)
    assert before["gains"]["metric"]["all over nothing"]["value"] == pytest.approx(0.55)
    found = explain_subject(odd_when_empty(TRUTH, uses=False, prior=True), **FEW)
    for kind in ("metric",):
        assert all(v["value"] == pytest.approx(0.0, abs=1e-12) for v in found["shapley"][kind].values())
        assert all(p["value"] == pytest.approx(0.0, abs=1e-12) for p in found["interaction"][kind])
    assert found["beats_guessing"] is False and "cannot be told from guessing" in found["verdict"]
    assert all(v["share"] is None for v in found["shapley"]["metric"].values())
    assert found["empty"]["answer"] == "a" and found["empty"]["by"] == "the training prior"
    assert found["empty"]["model"]["answer"] == "c" and found["empty"]["model"]["metric"] == pytest.approx(0.07)
    page = headline(found)
    assert "62.0%" in page and "guessing gets 62.0%" in page and "to explain" not in page  # as the verdict says


def test_an_unused_modality_stays_worth_exactly_nothing_and_the_other_all_above_guessing() -> None:
    found = explain_subject(odd_when_empty(TRUTH, uses=True, prior=True), **FEW)
    assert found["unused"] == ["photo"] and found["shapley"]["metric"]["photo"]["value"] == 0.0
    assert found["shapley"]["metric"]["text"]["value"] == pytest.approx(0.38)
    assert found["interaction"]["metric"][0]["value"] == 0.0 and found["beats_guessing"]
    assert "to explain" in headline(found)


def test_a_row_without_any_modality_keeps_the_answer_it_gets() -> None:
    subject = odd_when_empty(TRUTH, uses=True, prior=True)
    subject.present_NM[5] = False
    answers = subject.scores_of
    subject.scores_of = lambda rows_BM: answers(np.where(rows_BM == 5, -1, rows_BM))
    found = explain_subject(subject, examples=[5], **FEW)
    assert found["examples"][0]["shapley"] == {"text": 0.0, "photo": 0.0}


def test_priors_of_targets() -> None:
    assert class_shares(np.array([0, 0, 1, -1]), 3).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert target_means(np.array([[1, 0], [1, 1]]), 2).tolist() == [1.0, 0.5]
    assert target_means(np.array([1.0, 4.0]), 1).tolist() == [2.5]


def shuffled_table() -> dict[str, list[Any]]:
    rng = np.random.default_rng(3)
    labels = np.array(["common"] * 90 + ["middle"] * 40 + ["rare"] * 14)
    return {
        "size": rng.normal(size=144).tolist(), "text": [f"w{i} x" for i in rng.integers(0, 40, 144)],
        "label": rng.permutation(labels).tolist(), "split": ["train"] * 72 + ["val"] * 24 + ["test"] * 48,
    }  # fmt: skip


def test_shuffled_labels_leave_about_nothing_to_share_out(tmp_path: Any) -> None:
    table = shuffled_table()
    fitted = plait.fit(table, "label", split="split", numeric="size", text="text", epochs=2, preset="single", set=QUICK)
    prior = dict(zip(fitted.labels.classes, fitted.labels.prior, strict=True))
    trained = table["label"][:72]
    assert prior == pytest.approx({name: trained.count(name) / 72 for name in prior})
    assert plait.load(fitted.save(tmp_path / "m")).labels.prior == fitted.labels.prior
    found = fitted.explain(table, permutations=2, emap_evaluations=0)
    nothing = found["subsets"][0]["metric"]["value"]
    assert nothing == pytest.approx(table["label"][96:].count("common") / 48)
    assert all(abs(v["value"]) < 0.15 for v in found["shapley"]["metric"].values())
    assert not found["beats_guessing"] and "cannot be told from guessing" in found["verdict"]


def test_a_model_saved_without_a_prior_says_so() -> None:
    from dataclasses import replace

    table = shuffled_table()
    fitted = plait.fit(table, "label", split="split", numeric="size", text="text", epochs=1, preset="single", set=QUICK)
    fitted.labels = replace(fitted.labels, prior=())
    found = fitted.explain(table, permutations=0, emap_evaluations=0)
    assert any("saved before the training prior was kept" in note for note in found["notes"])
    assert found["empty"]["by"] == "the mean of its answers"


def test_a_model_of_another_maker_takes_a_prior() -> None:
    def answers(given: dict[str, Any]) -> list[list[float]]:
        return [[0.0, 1.0] if v is None else [0.8, 0.2] for v in given["text"]]

    rows, truth = {"text": ["a"] * 20}, [0] * 16 + [1] * 4
    own = plait.explain_modalities(answers, rows, truth, **FEW)
    assert own["shapley"]["metric"]["text"]["value"] == pytest.approx(0.6) and own["empty"]["by"] == "the model"
    found = plait.explain_modalities(answers, rows, truth, prior=[0.8, 0.2], **FEW)
    assert found["shapley"]["metric"]["text"]["value"] == pytest.approx(0.0)
    with pytest.raises(ValueError, match="expected 2 finite numbers"):
        plait.explain_modalities(answers, rows, truth, prior=[1.0], **FEW)
    with pytest.raises(ValueError, match="absence='missing'"):
        plait.explain_modalities(answers, rows, truth, prior=[0.8, 0.2], absence="marginal", **FEW)
