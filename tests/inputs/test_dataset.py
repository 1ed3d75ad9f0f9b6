"""Batches: gathered rows, missing items, and wrong pairs drawn anew."""

from __future__ import annotations

import numpy as np
import torch

from fixtures.tiny_models import build_model, encoded_modalities
from plait.inference.forward import predict_logits
from plait.inputs.dataset import LiveSource, RowBatches, TensorSource, whole_batch


def numbered(count: int) -> TensorSource:
    return TensorSource({"vector_BD": torch.arange(1.0, count + 1)[:, None].repeat(1, 2)})


def pairs(rows: int = 60, groups: int = 6, seed: int = 0, fresh: bool = True) -> RowBatches:
    """Row i holds photo i and caption i; every second row is a right pair."""
    index_NM = np.arange(rows)[:, None].repeat(2, 1)
    target = np.arange(rows) % 2
    group_N = np.arange(rows) // 2 % groups
    return RowBatches(
        {"image": numbered(rows), "caption": numbered(rows)},
        index_NM,
        target,
        group_N,
        fresh_pairs=fresh,
        seed=seed,
    )


def test_a_batch_gathers_the_rows_that_were_asked_for() -> None:
    rows = RowBatches(
        {"a": numbered(3), "b": numbered(2)}, np.array([[0, 1], [2, -1], [-1, 0]]), np.array([1, 0, 1]), None
    )
    batch = rows.__getitems__([2, 1])
    assert batch["inputs"]["a"]["vector_BD"].tolist() == [[0, 0], [3, 3]]
    assert batch["inputs"]["b"]["vector_BD"].tolist() == [[1, 1], [0, 0]]
    assert batch["present"].tolist() == [[False, True], [True, False]]
    assert batch["target"].tolist() == [1, 0]
    assert batch["group"].tolist() == [2, 1]
    assert batch["keys"].tolist() == [[-1, 0], [2, -1]]
    assert whole_batch(batch) is batch
    assert list(batch["inputs"]) == ["a", "b"]
    assert rows[0]["present"].tolist() == [[True, True]]


def test_gathering_leaves_the_source_as_it_was() -> None:
    source = numbered(2)
    source.take(np.array([-1, 0, -1]))
    assert source.tensors["vector_BD"].tolist() == [[1, 1], [2, 2]]
    empty = TensorSource({"vector_BD": torch.zeros(0, 3)})
    assert empty.take(np.array([-1, -1]))["vector_BD"].tolist() == [[0.0] * 3] * 2


def test_live_items_are_loaded_only_where_they_are() -> None:
    class Lengths:
        def process(self, items: list[str]) -> dict[str, torch.Tensor]:
            return {"length": torch.tensor([len(i) for i in items])}

    asked: list[int] = []

    def load(i: int) -> str:
        asked.append(i)
        return "x" * (i + 1)

    source = LiveSource(Lengths(), load, "")  # type: ignore[arg-type]
    assert source.take(np.array([4, -1, 0]))["length"].tolist() == [5, 0, 1]
    assert asked == [4, 0]


def test_fresh_wrong_pairs_never_come_from_their_own_group() -> None:
    rows = pairs()
    everything = list(range(len(rows)))
    for epoch in range(20):
        rows.set_epoch(epoch)
        batch = rows.__getitems__(everything)
        keys = batch["keys"].numpy()
        wrong = batch["target"].numpy() == 0
        assert (keys[~wrong] == rows.index_NM[~wrong]).all()  # right pairs stay
        assert (keys[wrong, 0] == rows.index_NM[wrong, 0]).all()  # the photo of a wrong pair stays
        assert (keys[wrong, 1] % 2 == 1).all()  # its caption comes from a right pair
        assert (rows.group_N[keys[wrong, 1]] != rows.group_N[wrong]).all()  # of another group
    assert (rows.index_NM == np.arange(60)[:, None]).all()  # the table of rows itself is untouched


def test_fresh_pairs_depend_on_seed_and_epoch_and_on_nothing_else() -> None:
    def drawn(seed: int, epoch: int) -> list[list[int]]:
        rows = pairs(seed=seed)
        rows.set_epoch(epoch)
        rows.__getitems__([5, 6])  # an earlier batch does not move the next
        return rows.__getitems__(list(range(60)))["keys"].tolist()

    assert drawn(0, 3) == drawn(0, 3)
    assert drawn(0, 3) != drawn(0, 4)
    assert drawn(0, 3) != drawn(1, 3)


def test_without_another_group_the_written_pair_stays() -> None:
    rows = pairs(groups=1)
    assert rows.__getitems__([0, 1, 2])["keys"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert pairs(fresh=False).__getitems__([0, 2])["keys"].tolist() == [[0, 0], [2, 2]]


def test_logits_come_in_row_order_whatever_the_batch_size() -> None:
    torch.manual_seed(0)
    modalities = encoded_modalities({"a": 2, "b": 2})
    model = build_model(modalities, width=4, dropout=0.5, options={"normalise": False}).train()
    index_NM = np.array([[0, 1], [2, -1], [-1, 0], [1, 1], [0, 0]])
    rows = RowBatches({"a": numbered(3), "b": numbered(2)}, index_NM)
    seen: list[tuple[int, int, str]] = []
    logits = predict_logits(model, rows, batch_size=2, progress=lambda *what: seen.append(what))
    assert seen == [(2, 5, "predicting"), (4, 5, "predicting"), (5, 5, "predicting")]
    assert model.training
    np.testing.assert_allclose(logits, predict_logits(model, rows), atol=1e-6)
    hidden = index_NM.copy()
    hidden[:, 1] = -1
    without = predict_logits(model, RowBatches({"a": numbered(3), "b": numbered(2)}, hidden))
    assert np.array_equal(predict_logits(model, rows, hide=(1,)), without)
    assert predict_logits(model, RowBatches({"a": numbered(3), "b": numbered(2)}, index_NM[:0])).shape == (
        0,
        2,
    )
