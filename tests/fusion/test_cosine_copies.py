"""Several towers a modality: one vector whose cosine is the mean of theirs, each trained by a loss of its own."""

from __future__ import annotations

import pytest
import torch

from fixtures.encoded import WIDTH, make_encoded, patterns
from fixtures.encoded import dims as make_dims
from plait.fusion import EncodedDims
from plait.fusion.cosine import CosineFusion
from plait.heads.dual_encoder import DualEncoderHead


def test_the_cosine_of_the_whole_is_the_mean_of_the_copies() -> None:
    torch.manual_seed(0)
    both = CosineFusion(make_dims(2), WIDTH, copies=2).eval()
    encoded, present_BM = make_encoded(2, 4), torch.ones(4, 2, dtype=torch.bool)
    whole = both(encoded, present_BM)
    assert whole.tokens is not None and whole.copies == 2
    torch.testing.assert_close(whole.tokens.norm(dim=-1), torch.ones(4, 2))
    apart = []
    for copy in range(2):
        one = CosineFusion(make_dims(2), 4).eval()
        one.towers = both.towers[2 * copy : 2 * copy + 2]
        unit_BMD = one(encoded, present_BM).tokens
        apart.append((unit_BMD[:, 0] * unit_BMD[:, 1]).sum(1))
    torch.testing.assert_close((whole.tokens[:, 0] * whole.tokens[:, 1]).sum(1), torch.stack(apart).mean(0))
    hidden = both(encoded, patterns(2))
    assert hidden.tokens is not None and not hidden.tokens[~patterns(2)].any()


def test_each_copy_is_trained_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    dims, present_BM = make_dims(2), torch.ones(6, 2, dtype=torch.bool)
    both, encoded = CosineFusion(dims, 8, copies=2).eval(), make_encoded(2, 6)
    rows = {"group_B": torch.arange(6), "key_BM": torch.arange(6)[:, None].expand(6, 2)}

    def loss(fusion: CosineFusion, width: int) -> torch.Tensor:
        return DualEncoderHead(dims, width, 1).batch_loss(
            fusion(encoded, present_BM), present_BM, rows["group_B"], **rows
        )

    apart = []
    for copy in range(2):
        one = CosineFusion(dims, 4).eval()
        one.towers = both.towers[2 * copy : 2 * copy + 2]
        apart.append(loss(one, 4))
    torch.testing.assert_close(loss(both, 8), torch.stack(apart).mean())


@pytest.mark.parametrize(("copies", "project"), [(3, True), (2, False)])
def test_copies_that_cannot_be_are_refused(copies: int, project: bool) -> None:
    with pytest.raises(ValueError, match=r"copies must divide fusion\.width=8, and be 1 without projections; got "):
        CosineFusion([EncodedDims(8), EncodedDims(8)], 8, copies=copies, project=project)
