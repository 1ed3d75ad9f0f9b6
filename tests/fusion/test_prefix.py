"""The prefix fusion against numpy: its mean, its tokens and which of them are real, for every projector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_tokens import layer, sequence

from fixtures.encoded import WIDTH, make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, gelu, parameters

OPTIONS = [{}, {"projector": "mlp"}, {"projector": "query", "num_queries": 3, "heads": 2}]


def prefix_tokens(p: dict, m: int, x: np.ndarray, tokens_TD: np.ndarray, options: dict) -> np.ndarray:
    read_TD = sequence(p, m, x, tokens_TD) + p["sequences.embedding_MD"][m]
    if options.get("projector") == "mlp":
        return affine(p, "mlp.3", gelu(affine(p, "mlp.1", gelu(read_TD))))
    if options.get("projector") == "query":
        return layer(p, "read", options["heads"], p["query_MND"][m], read_TD)
    return read_TD


def prefix_row(p: dict, x: list, there: list[int], tokens: list, **options: object) -> np.ndarray:
    means = [prefix_tokens(p, m, x[m], tokens[m], options).mean(0) for m in there]
    return np.mean(means, axis=0) if means else np.zeros(WIDTH)


ROWS = {"prefix": prefix_row}


@pytest.mark.parametrize("options", OPTIONS, ids=["linear", "mlp", "query"])
@pytest.mark.parametrize("count", [1, 3])
def test_equation(options: dict, count: int) -> None:
    fusion = make_fusion("prefix", count, torch.float64, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    out = fusion(encoded, present_BM)
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        x = [e.vector_BD[row].numpy() for e in encoded]
        tokens = [e.tokens_BTD[row][e.mask_BT[row]].numpy() for e in encoded]
        expected = prefix_row(p, x, there, tokens, **options)
        np.testing.assert_allclose(out.fused_BD[row].detach().numpy(), expected, rtol=0, atol=1e-12)
        real = out.tokens[row][out.token_mask[row]].detach().numpy()
        rows = [prefix_tokens(p, m, x[m], tokens[m], options) for m in there]
        np.testing.assert_allclose(real, np.concatenate([np.zeros((0, WIDTH)), *rows]), rtol=0, atol=1e-12)
