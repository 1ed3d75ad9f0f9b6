"""CIDEr-D of captions: agreement with the references, counting rare n-grams more.

Tokens come in, a number per image comes out (0 to 10). N-grams of order 1 to 4 are weighted by how few images'
references have them, so a score depends on **all images evaluated together**: on a subset each caption scores
differently, with one image every weight is log(1/1) = 0 and so is the score. This is the "-D" variant that the COCO
caption code calls CIDEr: counts are clipped and a difference in length is punished; words are not stemmed. A perfect
caption of five words scores 10, of three words 7.5 (it has no 4-grams), of two words 5.

Reference: Vedantam, Zitnick and Parikh 2015, "CIDEr: Consensus-based Image Description Evaluation", equations 1-4.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from plait.metrics.bleu import MAX_N, ngrams
from plait.metrics.caption_tokens import Tokens, check_token_rows

SIGMA = 6.0
Ngram = tuple[str, ...]


def cider_d(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> NDArray[np.float64]:
    """CIDEr-D of each image; the metric is their mean.

    Args:
        predictions: Tokens of one caption per image ``[N]``; a caption without tokens scores 0.
        references: Tokens of the true captions of each image ``[N][R]``. Document frequencies are counted here.

    Returns:
        Scores ``[N]``, 0 to 10; the order of the images does not matter.

    Raises:
        ValueError: No images, lengths that disagree, an image without references.

    Example:
        >>> cider_d([["a", "dog"], ["one", "cat"]], [[["a", "dog"]], [["one", "cat"]]]).tolist()
        [5.0, 5.0]
    """
    check_token_rows(predictions, references)
    frequency = document_frequencies(references)
    num_images = len(references)
    scores = []
    for guess, truths in zip(predictions, references, strict=True):
        mine = _weigh(guess, frequency, num_images)
        each = [_similarity(mine, len(guess), _weigh(t, frequency, num_images), len(t)) for t in truths]
        scores.append(10.0 * sum(each) / len(each))
    return np.asarray(scores)


def document_frequencies(references: Sequence[Sequence[Tokens]]) -> Counter[Ngram]:
    """In how many images' references each n-gram of order 1 to 4 occurs.

    Example:
        >>> document_frequencies([[["a", "dog"], ["a", "cat"]], [["a", "cat"]]])[("a", "cat")]
        2
    """
    found: Counter[Ngram] = Counter()
    for truths in references:
        found.update({gram for truth in truths for n in range(1, MAX_N + 1) for gram in ngrams(truth, n)})
    return found


def _weigh(tokens: Tokens, frequency: Mapping[Ngram, int], num_images: int) -> list[tuple[dict[Ngram, float], float]]:
    """For each order the weights (count times inverse document frequency) and their Euclidean norm."""
    orders = []
    for n in range(1, MAX_N + 1):
        weights = {
            gram: count * (math.log(num_images) - math.log(max(1, frequency.get(gram, 0))))
            for gram, count in ngrams(tokens, n).items()
        }
        orders.append((weights, math.sqrt(sum(w * w for w in weights.values()))))
    return orders


def _similarity(
    mine: list[tuple[dict[Ngram, float], float]],
    my_length: int,
    theirs: list[tuple[dict[Ngram, float], float]],
    their_length: int,
) -> float:
    """Clipped cosine, averaged over the orders, times the penalty for a difference in length."""
    total = 0.0
    for (weights, norm), (other, other_norm) in zip(mine, theirs, strict=True):
        if norm > 0 and other_norm > 0:
            shared = sum(min(w, other[gram]) * other[gram] for gram, w in weights.items() if gram in other)
            total += shared / (norm * other_norm)
    # The official code measures length in bigrams, which differs from words only for captions without a word.
    gap = max(0, my_length - 1) - max(0, their_length - 1)
    return total / MAX_N * math.exp(-(gap**2) / (2 * SIGMA**2))
