"""Fusions whose weights follow each row (QMF, PDF): confidences and losses by hand, and the memory of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.encoded import make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, norm, parameters, softmax
from fixtures.tiny_models import make_batch, make_model
from plait.fusion.pdf import calibration, holo_confidence
from plait.fusion.qmf import confidence, ranking_loss
from plait.fusion.row_history import RowHistory

YES = torch.ones(1, 2, dtype=torch.bool)


def test_confidence_is_a_tenth_of_the_log_of_summed_exponentials() -> None:
    logits = torch.log(torch.tensor([[[3.0, 7.0], [1.0, 0.5]]]))
    assert confidence(logits, YES)[0].tolist() == pytest.approx([np.log(10) / 10, np.log(1.5) / 10])


def test_ranking_loss_worked_by_hand() -> None:
    # Rows 0, 1, 2 in a ring. Modality 0: costs 0, .5, 1. Row 1 cost more than 0 and is as sure: .5 short. Rows 1 and 2:
    # .3 - .9 = -.6 the wrong way round: .6 + .5. Rows 2 and 0: .9 - .3 too sure, by .6, and the margin 1.
    w = torch.tensor([[0.3, 0.2], [0.3, 5.0], [0.9, 0.1]])
    k = torch.tensor([[0.0, 0.0], [0.5, 0.0], [1.0, 0.5]])
    there = torch.tensor([[True, True], [True, False], [True, True]])
    first = (0.5 + 1.1 + 1.6) / 3
    # Modality 1 has rows 0 and 2: the second is less sure by .1 and ought to be by .5; each pair counts both ways.
    second = (0.4 + 0.4) / 2
    assert float(ranking_loss(w, k, there)) == pytest.approx((first + second) / 2)
    assert float(ranking_loss(-k, k, there)) == pytest.approx(0.0, abs=1e-7)  # in order, by the margin


def test_history_is_the_mean_over_times_seen_scaled_over_all_rows() -> None:
    history = RowHistory(2)
    history.make_room(4)
    history.add(
        torch.tensor([0, 2]), torch.tensor([[1.0, 5.0], [3.0, 9.0]]), torch.tensor([[True, True], [True, False]])
    )
    history.add(
        torch.tensor([0, 3]), torch.tensor([[2.0, 5.0], [9.5, 6.0]]), torch.tensor([[True, True], [True, True]])
    )
    scaled = history.scaled_means(torch.arange(4))  # means 1.5, -, 3, 9.5 and 5, -, -, 6
    assert scaled.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.1875, 0.0], [1.0, 1.0]]
    other = RowHistory(2)
    other.load_state_dict(history.state_dict())
    assert torch.equal(other.scaled_means(torch.arange(4)), scaled)
    other.forget()
    assert other.state_dict().keys() == RowHistory(2).state_dict().keys() and len(other.sum_NM) == 0


def test_qmf_ranks_by_the_losses_of_all_epochs_so_far() -> None:
    batch = make_batch(3)
    batch["rows"] = torch.arange(len(batch["target"])) * 2
    model = make_model({}, "qmf").train()
    plain = make_model({}, "qmf", options={"ranking": 0})
    first = float(model(**batch)["loss"].detach()) - float(plain.train()(**batch)["loss"].detach())
    encoded = model.encode(batch["inputs"], batch["present"])
    fused = model.fuse(encoded, batch["present"])
    cost = torch.stack(
        [torch.nn.functional.cross_entropy(f, batch["target"], reduction="none") for f in
         fused.modality_logits_BMC.unbind(1)], dim=1,
    ).detach()  # fmt: skip
    for m in range(3):
        there = batch["present"][:, m]
        cost[:, m] = (cost[:, m] - cost[there, m].min()) / (cost[there, m].max() - cost[there, m].min())
    wanted = ranking_loss(fused.confidence_BM, cost, batch["present"])
    assert first == pytest.approx(float(wanted.detach()), abs=1e-5) and first > 0
    assert model.fusion.history.count_NM[::2].sum() == batch["present"].sum()
    assert model.eval()(**batch)["loss"] == plain.eval()(**batch)["loss"]  # a term of training alone
    assert model.fusion.history.count_NM.sum() == batch["present"].sum()


def test_holo_confidence_and_calibration_worked_by_hand() -> None:
    own = torch.tensor([[0.5, 0.25, 0.125]])  # logarithms 1 : 2 : 3
    three = torch.ones(1, 3, dtype=torch.bool)
    assert holo_confidence(own, three)[0].tolist() == pytest.approx([5 / 6, 4 / 6, 3 / 6])
    assert holo_confidence(own, torch.tensor([[True, False, True]]))[0, [0, 2]].tolist() == pytest.approx(
        [3 / 4, 1 / 4]
    )
    assert holo_confidence(own, torch.tensor([[True, False, False]]))[0, 0] == 0
    logits = torch.log(torch.tensor([[[0.75, 0.25], [0.6, 0.4]]]))  # apart from a half by .25 and .1
    assert calibration(logits, YES)[0].tolist() == pytest.approx([1.0, 0.4])
    assert calibration(logits, torch.tensor([[False, True]]))[0, 1] == 1


def test_pdf_learns_the_probability_of_the_right_class_from_vectors_without_gradient() -> None:
    encoded, present_BM, target = make_encoded(3, 8, dtype=torch.float64), patterns(3), torch.arange(8) % 4
    for item in encoded:
        item.vector_BD.requires_grad_()
    fusion = make_fusion("pdf", 3, torch.float64).train()
    out = fusion(encoded, present_BM)
    term = fusion.own_loss(out, present_BM, target, None)
    p, wanted = parameters(fusion), 0.0
    for m in range(3):
        apart = []
        for b in torch.nonzero(present_BM[:, m]).squeeze(1).tolist():
            x = norm(encoded[m].vector_BD[b].detach().numpy())
            right = softmax(affine(p, f"predictors.networks.{m}.2", x))[int(target[b])]
            apart.append(abs(1 / (1 + np.exp(-affine(p, f"confidences.{m}.linear", x)[0])) - right))
        wanted += np.mean(apart)
    assert float(term.detach()) == pytest.approx(wanted, rel=1e-9)
    term.backward()
    assert all(item.vector_BD.grad is None for item in encoded)
    assert all(q.grad is None for q in fusion.predictors.parameters())
    assert all(q.grad.abs().sum() > 0 for q in fusion.confidences.parameters())
    assert not out.weights_BM.requires_grad


@pytest.mark.parametrize("value", [-1, "1", True, float("inf")])
def test_ranking_out_of_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="ranking is the weight"):
        make_fusion("qmf", 2, ranking=value)
