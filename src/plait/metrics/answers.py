"""Short answers against references: exact match and overlap of words.

Strings come in, numbers of each row come out. For a match answers are cleaned as the VQA challenge does, one answer or
ten; for overlap only case, spaces and Unicode form do not count.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plait.metrics.vqa import normalise_answer


def folded(text: str) -> str:
    """A text without differences of case, spaces and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def cleaned(text: str) -> str:
    """The answer that several spellings of it share; a text of which cleaning leaves nothing is kept.

    Example:
        >>> [cleaned(text) for text in ("Red.", "the red", "RED", "two", "a", "?")]
        ['red', 'red', 'red', '2', 'a', '?']
    """
    plain = folded(text)
    return normalise_answer(plain) or plain


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """1 where the prediction is the most frequent reference (of equally frequent ones any), else 0, all cleaned.

    Args:
        predictions: One text per row ``[N]``.
        references: At least one true answer per row ``[N][R]``.

    Returns:
        ``[N]``, 0 or 1.

    Raises:
        ValueError: Lengths that disagree, or a row without references.

    Example:
        >>> exact_match(["The red.", "two"], [["red"], ["3", "3", "two"]]).tolist()
        [1.0, 0.0]
    """
    _check(predictions, references)
    found = []
    for guess, truths in zip(predictions, references, strict=True):
        counts = Counter(cleaned(t) for t in truths)
        found.append(float(counts[cleaned(guess)] == max(counts.values())))
    return np.array(found)


def token_f1(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Harmonic mean of precision and recall over words, against the nearest reference.

    Args:
        predictions: One text per row ``[N]``.
        references: At least one true answer per row ``[N][R]``.

    Returns:
        ``[N]``, 0 to 1; two texts without words agree.

    Raises:
        ValueError: Lengths that disagree, or a row without references.

    Reference: Rajpurkar, Zhang, Lopyrev, Liang 2016 (SQuAD), F1.

    Example:
        >>> token_f1(["a red circle"], [["red circle", "circle"]]).tolist()
        [0.8]
    """
    _check(predictions, references)
    pairs = zip(predictions, references, strict=True)
    return np.array([max(_f1(folded(guess).split(), folded(t).split()) for t in truths) for guess, truths in pairs])


def _f1(guess: list[str], truth: list[str]) -> float:
    if not guess or not truth:
        return float(guess == truth)
    shared = sum((Counter(guess) & Counter(truth)).values())
    return 2.0 * shared / (len(guess) + len(truth))


def _check(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(predictions) != len(references):
        raise ValueError(
            f"{len(predictions)} predictions but references of {len(references)} rows; give one list of references "
            "per prediction, in the same order"
        )
    bare = [row for row, truths in enumerate(references) if isinstance(truths, str) or len(truths) == 0]
    if bare:
        raise ValueError(f"references[{bare[0]}] is {references[bare[0]]!r}; expected a list of one text or more")
