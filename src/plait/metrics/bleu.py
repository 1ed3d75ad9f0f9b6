"""BLEU-1 to BLEU-4 of captions, over the whole corpus, as the COCO caption code computes it.

Tokens of one prediction and of several references per image come in. Matched n-grams are clipped by the most that
any one reference has; the brevity penalty compares with the reference nearest in length (the shorter of two equally
near). Counts are summed over images before dividing, so BLEU is no mean over images. Like the COCO code, tiny numbers
are added to the counts: where no 4-gram matches, BLEU-4 is about 1e-4 or less instead of 0.

Reference: Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation", section 2.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plait.metrics.caption_tokens import Tokens, check_token_rows

MAX_N = 4
_ON_MATCHES, _ON_TOTALS = 1e-15, 1e-9


def corpus_bleu(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> dict[str, float]:
    """Corpus BLEU of order 1 to 4.

    Args:
        predictions: Tokens of one caption per image ``[N]``; no tokens count as a caption of length 0.
        references: Tokens of the true captions of each image ``[N][R]``.

    Returns:
        ``bleu_1`` to ``bleu_4``, each 0 to 1.

    Raises:
        ValueError: No images, lengths that disagree, an image without references.

    Example:
        >>> round(corpus_bleu([["a", "dog"]], [[["a", "cat"]]])["bleu_1"], 6)
        0.5
    """
    check_token_rows(predictions, references)
    return bleu_of_counts(bleu_counts(predictions, references))


def bleu_counts(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> NDArray[np.float64]:
    """What BLEU sums over images ``[N, 10]``: matches of order 1-4, n-grams of order 1-4, both lengths.

    Example:
        >>> bleu_counts([["a", "dog"]], [[["a", "cat"]]])[0].tolist()
        [1.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 2.0, 2.0]
    """
    rows = []
    for guess, truths in zip(predictions, references, strict=True):
        matches = []
        for n in range(1, MAX_N + 1):
            most: Counter[tuple[str, ...]] = Counter()
            for truth in truths:
                most |= ngrams(truth, n)
            matches.append((ngrams(guess, n) & most).total())
        totals = [max(0, len(guess) - n + 1) for n in range(1, MAX_N + 1)]
        nearest = min((abs(len(truth) - len(guess)), len(truth)) for truth in truths)[1]
        rows.append([*matches, *totals, len(guess), nearest])
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), 2 * MAX_N + 2)


def bleu_of_counts(counts: NDArray[np.float64]) -> dict[str, float]:
    """BLEU from the counts ``[N, 10]`` of any choice of images, repeats allowed.

    Example:
        >>> round(bleu_of_counts(bleu_counts([["a"]] * 2, [[["a"]], [["b"]]]))["bleu_1"], 6)
        0.5
    """
    summed = counts.sum(axis=0)
    length, wanted = float(summed[-2]), float(summed[-1])
    ratio = (length + _ON_MATCHES) / (wanted + _ON_TOTALS)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = {}, 1.0
    for n in range(1, MAX_N + 1):
        product *= (float(summed[n - 1]) + _ON_MATCHES) / (float(summed[MAX_N + n - 1]) + _ON_TOTALS)
        scores[f"bleu_{n}"] = product ** (1 / n) * penalty
    return scores


def ngrams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n tokens occurs.

    Example:
        >>> ngrams(["a", "b", "a", "b"], 2)[("a", "b")]
        2
    """
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
