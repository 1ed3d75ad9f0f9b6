"""The bag of words: a weighted sum by hand, and whole words dropped in training."""

from __future__ import annotations

import torch

from plait.encoders.word_bag import WordBag


def test_a_text_is_the_weighted_sum_of_its_words() -> None:
    torch.manual_seed(0)
    bag = WordBag(3, 4, dropout=0.5).eval()
    ids, weights = torch.tensor([[1, 3], [2, 0], [0, 0]]), torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]])
    table = bag.table.weight
    torch.testing.assert_close(
        bag(ids, weights), torch.stack([0.6 * table[1] + 0.8 * table[3], table[2], 0 * table[0]])
    )


def test_dropped_words_are_gone_and_the_others_keep_length_one() -> None:
    torch.manual_seed(0)
    bag = WordBag(2, 2, dropout=0.5)
    with torch.no_grad():
        bag.table.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    made = bag(torch.tensor([[1, 2]] * 400), torch.tensor([[0.6, 0.8]] * 400)).detach()
    seen = {tuple(round(v, 4) for v in row) for row in made.tolist()}
    assert seen == {(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)}
    gone = (made[:, 0] == 0).float().mean()
    assert 0.4 < gone < 0.6
