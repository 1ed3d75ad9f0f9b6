"""A learned absence stands for what is missing when text is written and scored, as it does in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.tiny_models import build_model, encoded_modalities
from plait.inputs.dataset import RowBatches, TensorSource

generation = lazy("plait.inference.generation")


@pytest.mark.parametrize("verb", ["write", "score"])
def test_writing_reads_the_learned_absence(verb: str) -> None:
    from fixtures.tiny_language import WIDTH, tiny_head, tiny_tokens
    from plait.heads.language import DecodeOptions

    tokens = tiny_tokens()
    head = tiny_head(tokens)
    torch.manual_seed(0)
    model = build_model(
        encoded_modalities({"a": 4, "b": 5}, 3), "prefix", width=WIDTH, absence="learned", task="captioning",
        head={"name": "generate", "dropout": 0.0, "options": {"language": head.language}},
    ).eval()  # fmt: skip
    model.head.load_state_dict(head.state_dict())
    sources = {
        name: TensorSource({
            "vector_BD": torch.randn(2, width), "tokens_BTD": torch.randn(2, 2, 3),
            "mask_BT": torch.ones(2, 2, dtype=torch.bool),
        })
        for name, width in (("a", 4), ("b", 5))
    }  # fmt: skip
    rows = RowBatches(sources, np.array([[0, 0], [1, -1]]))

    def answered() -> list[float]:
        if verb == "score":
            return generation.score_rows(model, rows, tokens, ["a red picture"])[:, 0].tolist()
        options = DecodeOptions(max_new_tokens=4)
        return [a.log_probability for a in generation.write_rows(model, rows, tokens, options)]

    before = answered()
    with torch.no_grad():
        model.absence.vectors[1].normal_(std=3.0)
        model.absence.tokens["1"].normal_(std=3.0)
    after = answered()
    assert after[0] == pytest.approx(before[0], abs=1e-6)  # nothing is missing there
    assert after[1] != pytest.approx(before[1], abs=1e-3)
