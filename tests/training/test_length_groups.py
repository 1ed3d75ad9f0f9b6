"""Batches of rows of like length: every row once, less padding, and the loss of all answer tokens alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.training import PowerCutError
from plait.inputs.dataset import RowBatches
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.settings import TrainSettings

GroupedBatches = lazy("plait.training.length_groups", "GroupedBatches")
train_model = lazy("plait.training.trainer", "train_model")


def answered(lengths: list[int], references: int = 1, sources: dict[str, Any] | None = None) -> RowBatches:
    """Rows whose answers have so many tokens; every reference of a row is as long."""
    target = np.full((len(lengths), references, max(lengths)), -100, dtype=np.int32)
    for row, length in enumerate(lengths):
        target[row, :, :length] = 7
    kept = sources or {"a": FeatureSet.from_arrays(np.arange(len(lengths), dtype=np.float32)[:, None])}
    return RowBatches(kept, np.arange(len(lengths))[:, None].repeat(len(kept), 1), target)


def test_an_epoch_shows_every_row_once_and_the_next_one_in_other_company() -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 90).tolist()
    grouped, again = (GroupedBatches(answered(lengths), 4, seed=3) for _ in range(2))
    seen = []
    for epoch in range(2):
        grouped.set_epoch(epoch)
        rows = [grouped.__getitems__([n])["rows"].tolist() for n in range(len(grouped))]
        assert sorted(sum(rows, [])) == list(range(90))
        assert max(map(len, rows)) == 4
        seen.append({frozenset(batch) for batch in rows})
    assert len(seen[0] & seen[1]) < len(seen[0]) / 2
    again.set_epoch(1)
    assert again.batches == grouped.batches  # what a resumed run composes
    assert GroupedBatches(answered(lengths), 4, seed=4).batches != GroupedBatches(answered(lengths), 4, 3).batches


def test_rows_of_one_length_meet_each_other() -> None:
    grouped = GroupedBatches(answered([2, 9] * 8), 4, seed=0)
    met = [set(np.array([2, 9] * 8)[batch]) for batch in grouped.batches]
    assert sorted(map(tuple, met)) == [(2,), (2,), (9,), (9,)]


def test_stored_tokens_of_the_items_count_and_absent_ones_do_not() -> None:
    tokens = [np.ones((n, 2), dtype=np.float16) for n in (3, 1)]
    features = FeatureSet.from_arrays(np.ones((2, 4), dtype=np.float32), tokens)
    rows = answered([5, 5, 5], references=2, sources={"a": features})
    rows.index_NM = np.array([[1], [0], [-1]])
    assert GroupedBatches(rows, 2, seed=0).length_N.tolist() == [6.0, 8.0, 5.0]


def test_weights_make_the_mean_over_batches_the_mean_over_tokens() -> None:
    grouped = GroupedBatches(answered([1, 1, 3, 7]), 2, seed=0)
    weights = {tuple(sorted(b)): grouped.weight(grouped[n]) for n, b in enumerate(grouped.batches)}
    assert weights == {(0, 1): 2 / 6, (2, 3): 10 / 6}  # 12 tokens in two batches
    short, long = 0.5, 0.8  # mean loss a token of the two batches
    assert np.isclose((weights[0, 1] * short + weights[2, 3] * long) / 2, (2 * short + 10 * long) / 12)


@pytest.mark.parametrize("cut_at", [2, 4])
def test_an_interrupted_training_goes_on_with_the_same_batches(tmp_path: Path, cut_at: int) -> None:
    """The order of batches shows in the weights: each step's gradient hangs on the weight that it meets."""
    settings = TrainSettings(
        epochs=5, batch_size=1, learning_rate=0.05, patience=0, warmup=0.0, schedule="linear", weight_decay=0.0
    )
    lengths = np.random.default_rng(0).integers(1, 9, 30).tolist()

    def trained(model: Chased, name: str, stop: int = 0, calls: int = 0, **how: Any) -> Any:

        def score(_: Any) -> dict[str, float]:
            nonlocal calls
            calls += 1
            if calls == stop:
                raise PowerCutError
            return {"score": float(calls), "loss": 1.0}

        rows = GroupedBatches(answered(lengths), 4, seed=0)
        return train_model(model, rows, settings, tmp_path / name, score=score, **how)

    straight, resumed = Chased(0.0), Chased(9.0)  # a fresh process does not have the old weights
    trained(straight, "straight")
    with pytest.raises(PowerCutError):
        trained(Chased(0.0), "cut", cut_at)
    rest = trained(resumed, "cut", calls=cut_at - 1, resume=True)
    assert rest.resumed_from == cut_at - 1 and len(rest.epochs) == 5
    assert straight.w.item() == resumed.w.item() != 0.0


class Recorder(torch.nn.Module):
    """Loss w times the answer tokens of the batch, so that gradients tell what a batch counted."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(()))
        self.fusion = torch.nn.Identity()
        self.fusion.after_training = lambda: None
        self.is_trained_in = None

    def forward(self, target: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        return {"loss": self.w * (target >= 0).sum()}

    def learns_gently(self, name: str) -> bool:
        return False

    def train_in(self, dtype: torch.dtype) -> None:
        self.is_trained_in = dtype

    before_step = after_step = lambda self: None


class Chased(Recorder):
    """Its weight runs after the mean answer length of the batch, so that the order of the batches shows in it."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.w.data.fill_(start)

    def forward(self, target: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        return {"loss": (self.w - (target >= 0).sum() / len(target)) ** 2}


class Counted(torch.utils.data.Dataset):
    """Three batches, of 2, 6 and 4 answer tokens, as a dataset whose item is a batch."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"target": torch.ones(1, 1, (2, 6, 4)[number])}

    def __getitems__(self, numbers: list[int]) -> dict[str, Any]:
        return self[numbers[0]]

    def set_epoch(self, epoch: int) -> None:
        pass

    def tokens(self, batch: dict[str, Any]) -> int:
        return batch["target"].shape[2]


@pytest.mark.parametrize(
    ("accumulate", "moved"),
    [(3, (2 * 2 + 6 * 6 + 4 * 4) / 12), (1, 2 + 6 + 4)],  # one step: the mean over 12 tokens, not (2 + 6 + 4) / 3
)
def test_a_step_of_several_batches_is_the_mean_over_their_tokens(tmp_path: Path, accumulate: int, moved: float) -> None:
    """A batch's mean loss is w times its tokens, so the gradient of a step tells what each batch counted in it."""
    settings = TrainSettings(
        epochs=1, batch_size=1, optimizer="sgd", momentum=0.0, learning_rate=0.01, weight_decay=0.0,
        schedule="constant", warmup=0.0, patience=0, max_grad_norm=1000.0, accumulate=accumulate,
    )  # fmt: skip
    model = Recorder()
    history = train_model(model, Counted(), settings, tmp_path / "run", checkpoints=False)
    assert np.isclose(model.w.item(), -0.01 * moved) and len(history.epochs) == 1


def test_training_weighs_batches_so(tmp_path: Path) -> None:
    settings = TrainSettings(
        epochs=1, batch_size=1, optimizer="sgd", momentum=0.0, learning_rate=0.01, weight_decay=0.0,
        schedule="constant", warmup=0.0, patience=0, max_grad_norm=1000.0,
    )  # fmt: skip
    model = Recorder()
    train_model(model, GroupedBatches(answered([1, 1, 3, 7]), 2, seed=0), settings, tmp_path / "run", checkpoints=False)
    assert np.isclose(model.w.item(), -0.01 * (2 * 2 / 6 + 10 * 10 / 6))


def test_a_writer_is_fitted_so_where_it_is_asked_for() -> None:
    import plait
    from fixtures.planted_writing import TINY, asked_pictures

    how: dict[str, Any] = {"task": "vqa", "split": "split", "text": "question", "image": "image", "epochs": 2}
    found = [
        plait.fit(asked_pictures("question"), "answer", set=[*TINY, f"train.group_by_length={asked}"], **how).report
        for asked in ("true", "false")
    ]
    grouped, mixed = ([epoch["train_loss"] for epoch in report["history"]] for report in found)
    assert grouped != mixed and np.allclose(grouped, mixed, rtol=0.1)  # the same rows in other company


def test_classes_have_no_length_to_group_by() -> None:
    import plait

    rows = [{"size": i * 7 % 11, "label": "ab"[i % 2]} for i in range(40)]
    with pytest.raises(ValueError, match="train.group_by_length groups captions and written answers"):
        plait.fit(rows, "label", set=["train.group_by_length=true"])
