"""A trained bag of words beside the vector of a text: the words that a frozen encoder blurs.

In: ids and weights of the words of a text (``processors/words.py``). Out: one vector a text, the weighted sum of word
vectors that are trained. In training whole words are dropped at random, so that no rare word answers alone.

Reference: Joulin, Grave, Bojanowski, Mikolov 2017 (fastText), section 2; Iyyer, Manjunatha, Boyd-Graber, Daume 2015,
    section 3.1 (word dropout).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

START_STD = 0.05  # a text's vector, of weights of length 1, then is as large as a unit vector of 400 numbers


class WordBag(nn.Module):
    """v = sum_i w_i e_i over the words of a text, the weights w of length 1; zeros for a text without known words.

    Args:
        num_words: Words known.
        width: Width of the vector, 1 or more.
        dropout: Probability that a word is left out of a text in training, in [0, 1); the others' weights are brought
            to length 1 again.
    """

    def __init__(self, num_words: int, width: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(num_words + 1, width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=START_STD)
        with torch.no_grad():
            self.table.weight[0] = 0.0
        self.dropout = dropout

    def forward(self, word_BG: Tensor, word_weight_BG: Tensor) -> Tensor:
        """Vectors [B, width].

        Args:
            word_BG: Ids of words; 0 fills.
            word_weight_BG: Their weights, 0 where an id fills.
        """
        weight_BG = word_weight_BG
        if self.training and self.dropout > 0:
            weight_BG = weight_BG * (torch.rand_like(weight_BG) >= self.dropout)
            weight_BG = weight_BG / weight_BG.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
        bag_BD: Tensor = nn.functional.embedding_bag(
            word_BG, self.table.weight, mode="sum", per_sample_weights=weight_BG, padding_idx=0
        )
        return bag_BD
