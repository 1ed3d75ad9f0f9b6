"""ROUGE-L of captions, as the COCO caption code computes it.

Tokens come in, a number per image comes out. Precision is the longest common subsequence over the length of the
prediction, recall over that of the reference; **each takes its own maximum over the references**, then both are
joined with beta = 1.2, which weighs recall more. The ROUGE packages for summaries take the F1 of the best single
reference instead, and differ.

Reference: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3; Chen et al. 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plait.metrics.caption_tokens import Tokens, check_token_rows

BETA = 1.2


def rouge_l(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> NDArray[np.float64]:
    """ROUGE-L of each image; the metric is their mean.

    Args:
        predictions: Tokens of one caption per image ``[N]``; a caption without tokens scores 0.
        references: Tokens of the true captions of each image ``[N][R]``.

    Returns:
        Scores ``[N]``, 0 to 1.

    Raises:
        ValueError: No images, lengths that disagree, an image without references.

    Example:
        >>> rouge_l([["a", "dog"]], [[["a", "cat"]]]).tolist()
        [0.5]
    """
    check_token_rows(predictions, references)
    return np.asarray([_of_image(guess, truths) for guess, truths in zip(predictions, references, strict=True)])


def common_subsequence(first: Tokens, second: Tokens) -> int:
    """Length of the longest common subsequence, a row of the table at a time in the bits of one integer.

    Reference:
        Hyyro 2004, "Bit-parallel LCS-length computation revisited".

    Example:
        >>> common_subsequence("a b c d".split(), "b x d".split())
        2
    """
    places: dict[str, int] = {}
    for i, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << i
    everywhere = (1 << len(first)) - 1
    row = everywhere
    for token in second:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & everywhere
    return len(first) - row.bit_count()


def _of_image(guess: Tokens, truths: Sequence[Tokens]) -> float:
    if len(guess) == 0:
        return 0.0
    common = [common_subsequence(truth, guess) for truth in truths]
    precision = max(common) / len(guess)
    recall = max(length / len(truth) for length, truth in zip(common, truths, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
