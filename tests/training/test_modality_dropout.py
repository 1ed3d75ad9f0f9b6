"""Modality dropout: its rates by modality, its schedule, and a resumed run that hides what the straight run hid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.training import SETTINGS, Judge, PowerCutError, largest_difference, make_model, make_rows
from plait.fusion.modality_dropout import SCHEDULES, hide_modalities, keep_subsets, share_of_rate
from plait.settings import RunSettings, set_values
from plait.settings.groups import HIDING_PATTERNS

train_model = lazy("plait.training.trainer", "train_model")


def test_each_modality_has_its_rate_and_one_always_stays() -> None:
    torch.manual_seed(0)
    present = torch.ones(40_000, 3, dtype=torch.bool)
    present[:10_000, 1:] = False  # one modality only
    present[10_000:20_000, 2] = False
    hidden = hide_modalities(present, [0.5, 0.2, 0.0])
    assert torch.equal(hidden[:10_000], present[:10_000])
    assert not (hidden & ~present).any()
    # of two, both would go in 0.5 * 0.2 of the rows, which keep both
    assert hidden[10_000:20_000, :2].float().mean(0).tolist() == pytest.approx([0.6, 0.9], abs=0.015)
    # the third is never hidden, so nothing is kept for its sake
    assert hidden[20_000:].float().mean(0).tolist() == pytest.approx([0.5, 0.8, 1.0], abs=0.015)
    both = (~hidden[20_000:, 0] & ~hidden[20_000:, 1]).float().mean()
    assert float(both) == pytest.approx(0.1, abs=0.01)  # independent
    assert hide_modalities(present, [0.0, 0.0, 0.0]) is present


def test_subsets_have_every_size_alike_and_every_modality_alike() -> None:
    torch.manual_seed(0)
    present = torch.ones(60_000, 4, dtype=torch.bool)
    present[:20_000, 1] = False
    present[:10_000, 2:] = False  # one modality only
    kept = keep_subsets(present, 0.6)
    assert torch.equal(kept[:10_000], present[:10_000])
    assert not (kept & ~present).any()
    assert int(kept.sum(1).min()) == 1
    three, four = kept[10_000:20_000].sum(1), kept[20_000:].sum(1)
    assert [float((three == k).float().mean()) for k in (1, 2, 3)] == pytest.approx([0.3, 0.3, 0.4], abs=0.02)
    assert [float((four == k).float().mean()) for k in (1, 2, 3, 4)] == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.01)
    singles = kept[20_000:][four == 1].float().mean(0).tolist()
    assert singles == pytest.approx([0.25] * 4, abs=0.02)
    assert keep_subsets(present, 0.0) is present
    assert keep_subsets(present[:, :1], 0.6) is not None and torch.equal(
        keep_subsets(present[:, :1], 0.6), present[:, :1]
    )


def test_model_cuts_to_subsets_at_the_share_in_force() -> None:
    torch.manual_seed(0)
    model = make_model(modality_dropout=0.8, modality_dropout_pattern="subset")
    present = torch.ones(20_000, 2, dtype=torch.bool)
    assert model._hide(present).float().mean(0).tolist() == pytest.approx([0.6, 0.6], abs=0.015)
    model.dropout_share = 0.5
    assert model._hide(present).float().mean(0).tolist() == pytest.approx([0.8, 0.8], abs=0.015)
    model.dropout_share = 0.0
    assert model._hide(present) is present


def test_rates_by_name_are_independent_whatever_the_recipe() -> None:
    from plait.training.recipes import Facts, resolve

    facts = Facts("classification", ("text", "image", "tabular"), 160)
    assert resolve(RunSettings(), facts).train.modality_dropout_pattern == "subset"
    two = resolve(RunSettings(), Facts("classification", ("text", "image"), 160)).train
    assert (two.modality_dropout, two.modality_dropout_pattern) == (0.1, "independent")
    named = set_values(RunSettings(), ["train.modality_dropout={text: 0.5}"])
    assert resolve(named, facts).train.modality_dropout_pattern == "independent"
    for pattern in HIDING_PATTERNS:
        assert set_values(RunSettings(), [f"train.modality_dropout_pattern={pattern}"])
    for given, wanted in (
        ("train.modality_dropout=0.2", (0.2, "independent")),
        ("train.modality_dropout_pattern=independent", (0.1, "independent")),
        ("train.modality_dropout_pattern=subset", (0.3, "subset")),
    ):
        for task in ("classification", "matching"):
            done = resolve(set_values(RunSettings(), [given]), Facts(task, ("text", "image", "tabular"), 160)).train
            assert (done.modality_dropout, done.modality_dropout_pattern) == wanted
    with pytest.raises(ValueError, match="give subset one number"):
        set_values(named, ["train.modality_dropout_pattern=subset"])


def test_schedules() -> None:
    for schedule in SCHEDULES:
        set_values(RunSettings(), [f"train.modality_dropout_schedule={schedule}"])
    assert [share_of_rate("constant", e, 3) for e in range(3)] == [1.0, 1.0, 1.0]
    assert [share_of_rate("linear", e, 3) for e in range(3)] == [0.0, 0.5, 1.0]
    assert share_of_rate("linear", 0, 1) == 1.0
    with pytest.raises(ValueError, match=r"unknown train.modality_dropout_schedule 'liner'. Did you mean 'linear'"):
        share_of_rate("liner", 0, 1)


def test_model_takes_rates_by_name_at_the_share_in_force() -> None:
    torch.manual_seed(0)
    model = make_model(modality_dropout={"b": 0.6})
    present = torch.ones(20_000, 2, dtype=torch.bool)
    assert model._hide(present).float().mean(0).tolist() == pytest.approx([1.0, 0.4], abs=0.015)
    model.dropout_share = 0.5
    assert model._hide(present).float().mean(0).tolist() == pytest.approx([1.0, 0.7], abs=0.015)
    model.dropout_share = 0.0
    assert model._hide(present) is present


def test_training_sets_the_share_epoch_by_epoch(tmp_path: Path) -> None:
    model, shares = make_model(), []

    def score(current: object) -> dict[str, float]:
        shares.append(model.dropout_share)
        return {"score": 0.5}

    settings = replace(SETTINGS, modality_dropout_schedule="linear")
    train_model(model, make_rows(), settings, tmp_path / "run", score=score)
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("cut_at", [2, 4])
def test_resumed_linear_run_equals_the_straight_one_exactly(tmp_path: Path, cut_at: int) -> None:
    settings = replace(SETTINGS, modality_dropout_schedule="linear")
    absent = {"name": "gated", "width": 6, "dropout": 0.2, "options": {}, "absence": "learned"}
    straight, cut, resumed = (make_model(seed, fusion=absent) for seed in (0, 0, 99))
    constant = make_model(0, fusion=absent)
    train_model(straight, make_rows(), settings, tmp_path / "straight", score=Judge())
    train_model(constant, make_rows(), SETTINGS, tmp_path / "constant", score=Judge())
    with pytest.raises(PowerCutError):
        train_model(cut, make_rows(), settings, tmp_path / "cut", score=Judge(cut_at=cut_at))
    rest = train_model(resumed, make_rows(), settings, tmp_path / "cut", score=Judge(), resume=True)
    assert rest.resumed_from == cut_at - 1
    assert largest_difference(straight, resumed) == 0.0
    assert largest_difference(straight, constant) > 0.0
    assert "absence.vectors.0" in straight.state_dict()


def test_settings_say_what_is_wrong() -> None:
    given = set_values(RunSettings(), ["train.modality_dropout={text: 0.5, image: 0}"])
    assert given.train.modality_dropout == {"text": 0.5, "image": 0}
    for text, said in (
        (
            "train.modality_dropout={text: 1.5}",
            "train.modality_dropout of text must be at least 0 and below 1, got 1.5",
        ),
        (
            "train.modality_dropout={text: much}",
            "train.modality_dropout of text must be at least 0 and below 1, got 'much'",
        ),
        ("train.modality_dropout_schedule=cosine", "unknown modality dropout schedule 'cosine'"),
        ("fusion.absence=learnt", "unknown absence 'learnt'.*Did you mean 'learned'"),
        ("judge.missing_step=1", "judge.missing_step must be at least 0.01 and below 1"),
        ("judge.missing_rows=-1", "judge.missing_rows must be 0 or more"),
    ):
        with pytest.raises(ValueError, match=said):
            set_values(RunSettings(), [text])


def test_a_rate_for_a_modality_that_is_not_there_is_refused() -> None:
    table = {"text": [f"word {i}" for i in range(20)], "size": [i * 0.5 for i in range(20)], "label": ["a", "b"] * 10}
    with pytest.raises(ValueError, match=r"unknown modality in train.modality_dropout 'txt'. Did you mean 'text'"):
        plait.fit(table, "label", set=["encoders.text=scratch:text", "train.modality_dropout={txt: 0.5}"])
