"""A skewed number through ``plait.fit``: what is answered, mean or median, and what the network is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait


def table(count: int = 400) -> dict[str, list[Any]]:
    """The logarithm is noise around a small effect, so the mean lies far above the median."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=count)
    y = np.exp(0.2 * x + rng.normal(size=count))
    split = np.array(["train", "val", "test", "train"])[np.arange(count) % 4]
    return {"x": x.tolist(), "y": y.tolist(), "split": split.tolist()}


def fitted(*more: str, **options: Any) -> Any:
    how = {"preset": "single", **options}
    return plait.fit(table(), "y", split="split", epochs=4, set=["task.transform=log", *more], **how)


def test_answers_are_means_unless_medians_are_asked_for(tmp_path: Path) -> None:
    columns = table()
    mean, median = fitted(output=tmp_path / "m"), fitted("task.predict=median")
    means, medians = (np.array(m.predict(columns)["prediction"].to_pylist()) for m in (mean, median))
    truth = np.array(columns["y"])
    assert means.mean() == pytest.approx(truth.mean(), rel=0.15)
    assert medians.mean() == pytest.approx(np.median(truth), rel=0.3)
    assert plait.load(tmp_path / "m").predict(columns)["prediction"].to_pylist() == means.tolist()
    assert any("predictions are means" in n for n in mean.report["evaluation"]["notes"])
    assert any("predictions are medians" in n for n in median.report["evaluation"]["notes"])
    held = np.array(columns["split"]) == "test"
    for model, answers in ((mean, means), (median, medians)):  # truths stay what they were
        wanted = np.abs(answers - truth)[held].mean()
        assert model.report["evaluation"]["metrics"]["mae"]["value"] == pytest.approx(wanted, rel=1e-5)


def test_half_of_the_truths_lie_above_the_medians_of_several_models(tmp_path: Path) -> None:
    columns = table(1600)
    held = np.array(columns["split"]) == "test"
    truth = np.array(columns["y"])
    above = {}
    for predict in ("mean", "median"):
        how = {"split": "split", "epochs": 4, "output": tmp_path / predict}
        made = plait.fit(columns, "y", set=["task.transform=log", f"task.predict={predict}"], **how)
        answers = made.predict(columns)["prediction"].to_pylist()
        assert made.ensemble is not None
        assert plait.load(tmp_path / predict).predict(columns)["prediction"].to_pylist() == answers
        above[predict] = (truth > np.array(answers))[held].mean()
    assert above["median"] == pytest.approx(0.5, abs=0.08) and above["mean"] < 0.42


def test_a_choice_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"task\.predict=median needs.*task\.transform=log"):
        plait.fit(table(80), "y", split="split", epochs=1, preset="single", set=["task.predict=median"])


def test_one_network_chooses_its_transform_too() -> None:
    model = plait.fit(table(), "y", split="split", epochs=1, set=["task.transform=auto"])
    assert model.settings.task.transform in ("none", "log", "quantile")


def test_a_chosen_transform_keeps_the_training_mean() -> None:
    columns = {**table(), "y": np.exp(2 * np.array(table()["x"])).tolist()}
    model = plait.fit(columns, "y", split="split", epochs=1, preset="single", set=["task.transform=auto"])
    train = [y for y, split in zip(columns["y"], columns["split"], strict=True) if split == "train"]
    assert model.labels.scale is not None  # one was chosen
    assert model.labels.prior == pytest.approx((sum(train) / len(train),))  # from which explanations start


@pytest.mark.parametrize("numbers", ["piecewise", "periodic"])
def test_numbers_are_read_back_bit_by_bit(tmp_path: Path, numbers: str) -> None:
    model = fitted(f"encoders.numbers={numbers}", output=tmp_path / "m")
    again = plait.load(tmp_path / "m")
    assert again.predict(table()).equals(model.predict(table()))
    (encoder,) = model.inputs.live.values()
    assert encoder.config()["numbers"] == numbers


def test_many_networks_in_one_and_shared_rare_categories_are_read_back_bit_by_bit(tmp_path: Path) -> None:
    columns = table()
    columns["town"] = [f"t{i // 4 % 30}" for i in range(400)]
    columns["town"][:4] = ["once", "also once", "seldom", "seldom"]
    chosen = ["task.head=members", "encoders.categories=compact", "train.baselines=false"]
    model = plait.fit(columns, "y", split="split", categorical="town", epochs=2, set=chosen, output=tmp_path / "m")
    again = plait.load(tmp_path / "m")
    assert again.predict(columns).equals(model.predict(columns))
    assert again.model.config.head == {"name": "members", "dropout": 0.0, "options": {"outputs": "number"}}
    (processor,) = again.inputs.processors.values()
    assert "once" in processor.rare["town"]
    shown = [{"x": 0.5, "town": town} for town in ("once", "seldom", "t1")]
    left, right, other = again.predict(shown)["prediction"].to_pylist()
    assert left == right != other


def test_a_fusion_of_answers_leaves_nothing_to_many_networks() -> None:
    with pytest.raises(ValueError, match=r"fusion 'late_mean' joins answers.*leave it out, or type fusion='gated'"):
        plait.fit(table(80), "y", split="split", fusion="late_mean", epochs=1, set=["task.head=members"])
