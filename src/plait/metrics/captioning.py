"""The metrics of image captioning together: BLEU-1 to 4, ROUGE-L, CIDEr-D and, on wish, METEOR.

Predicted and true captions come in as plain strings; numbers, per-image scores, intervals over images and notes come
out. The definitions are those of the COCO caption evaluation. SPICE is left out: it needs a parser that is
downloaded while it runs.

Reference: Chen et al. 2015, "Microsoft COCO Captions: Data Collection and Evaluation Server".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.metrics.bleu import MAX_N, bleu_counts, bleu_of_counts
from plait.metrics.caption_tokens import TOKENIZERS, Tokens, check_token_rows, choose_tokenizer
from plait.metrics.cider import cider_d
from plait.metrics.intervals import metric_intervals
from plait.metrics.meteor import meteor_scores
from plait.metrics.rouge import rouge_l

TOKENIZE = ("auto", *TOKENIZERS)


def caption_metrics(
    *,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenize: str = "auto",
    meteor: bool = False,
    resamples: int = 0,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Any]:
    """Caption metrics of a set of images. Arguments go by name only: the two are easily swapped.

    Intervals draw whole images, with the document frequencies of CIDEr-D kept as counted once on all images: they
    answer how the score would vary with other images, given these word weights. METEOR gets no interval (its corpus
    score would need the program once per draw).

    Args:
        predictions: One caption per image ``[N]``; an empty one scores 0, with a note.
        references: The true captions of each image ``[N][R]``, at least one each.
        tokenize: "ptb" (English and other languages with spaces), "zh" (Chinese, Japanese: characters), "space"
            (tokenised before), or "auto": zh or ptb, evaluated
            from the references.
        meteor: Also run METEOR; needs Java and ``pip install plait[captions]``, and English.
        resamples: How many bootstrap draws for the intervals; 0 for none, 1000 is usual.
        seed: Seed of the draws.
        level: Coverage of the intervals.

    Returns:
        ``bleu_1`` to ``bleu_4``, ``rouge_l`` (0 to 1), ``cider_d`` (0 to 10; papers print it times 100 or as is),
        ``meteor`` where asked; ``per_image`` (name to list of N numbers); ``tokenize`` (what was used);
        ``intervals`` (name to value, low, high) where asked; ``notes``.

    Raises:
        ValueError: No images, lengths that disagree, captions that are no strings, an image without references, a
            reference without a word, an unknown tokenizer, METEOR of Chinese or Japanese.
        ImportError: Java or pycocoevalcap is missing where they are asked for.

    Example:
        >>> found = caption_metrics(predictions=["a dog", "two cats"], references=[["a dog"], ["two cats sleep"]])
        >>> round(found["bleu_1"], 4), found["tokenize"]
        (0.7788, 'ptb')
    """
    _check_strings(predictions, references, tokenize, resamples)
    notes: list[str] = []
    kind = tokenize
    if tokenize == "auto":
        kind = choose_tokenizer(text for truths in references for text in truths)
        notes.append(f"tokenize=auto chose {kind!r} from the letters of the references")
    if meteor and kind == "zh":
        raise ValueError("METEOR 1.5 is run with its English tables; leave meteor out with tokenize='zh'")
    guesses, truths = _tokens(predictions, references, kind)
    counts = bleu_counts(guesses, truths)
    per_image = {"rouge_l": rouge_l(guesses, truths), "cider_d": cider_d(guesses, truths)}

    def measure(rows: NDArray[np.int64]) -> dict[str, float]:
        return bleu_of_counts(counts[rows]) | {name: float(scores[rows].mean()) for name, scores in per_image.items()}

    result: dict[str, Any] = dict(measure(np.arange(len(guesses), dtype=np.int64)))
    if resamples:
        result["intervals"] = metric_intervals(
            measure, len(guesses), resamples=resamples, seed=seed, level=level, shares=()
        )
    if meteor:
        result["meteor"], per_image["meteor"] = meteor_scores(guesses, truths)
    result["per_image"] = {name: scores.tolist() for name, scores in per_image.items()}
    result["tokenize"] = kind
    result["notes"] = notes + _notes(guesses, truths, kind, counts)
    return result


def _check_strings(predictions: Sequence[str], references: Sequence[Sequence[str]], kind: str, resamples: int) -> None:
    if kind not in TOKENIZE:
        raise ValueError(f"tokenize is {kind!r}; expected one of {', '.join(TOKENIZE)}")
    if resamples < 0:
        raise ValueError(f"resamples is {resamples}; expected 0 (no intervals) or more (1000 is usual)")
    if isinstance(predictions, str) or isinstance(references, str):
        raise ValueError("one string was given; expected a list of predictions and a list of lists of references")
    for row, guess in enumerate(predictions):
        if isinstance(guess, list | tuple):
            raise ValueError(f"predictions[{row}] is a list; expected one string per image. Swapped with references?")
        if not isinstance(guess, str):
            raise ValueError(f"predictions[{row}] is {guess!r}; expected a string (empty where there is no caption)")
    for row, texts in enumerate(references):
        if isinstance(texts, str):
            raise ValueError(f"references[{row}] is the single string {texts!r}; expected a list: [{texts!r}]")
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"references[{row}] holds {text!r}; expected strings")


def _tokens(
    predictions: Sequence[str], references: Sequence[Sequence[str]], kind: str
) -> tuple[list[Tokens], list[list[Tokens]]]:
    texts = [*predictions, *(text for truths in references for text in truths)]
    split = [TOKENIZERS[kind](text) for text in texts]
    rest = iter(split[len(predictions) :])
    truths: list[list[Tokens]] = [[next(rest) for _ in texts] for texts in references]
    for row, captions in enumerate(truths):
        for i, caption in enumerate(captions):
            if len(caption) == 0:
                raise ValueError(
                    f"references[{row}][{i}] is {references[row][i]!r}, which has no word; leave that caption out"
                )
    guesses: list[Tokens] = list(split[: len(predictions)])
    check_token_rows(guesses, truths)
    return guesses, truths


def _notes(guesses: list[Tokens], truths: list[list[Tokens]], kind: str, counts: NDArray[np.float64]) -> list[str]:
    notes = []
    if kind == "ptb":
        notes.append(
            "tokens: Plait's own Penn Treebank rules, near to but not Stanford's Java program of the published numbers"
        )
    if kind == "zh":
        notes.append("tokens: single characters; not comparable with numbers on segmented words")
    empty = sum(len(guess) == 0 for guess in guesses)
    if empty:
        notes.append(f"{empty} of {len(guesses)} predictions have no words; they score 0 and shorten BLEU's corpus")
    if len(guesses) == 1:
        notes.append("one image: every n-gram is in every image, so CIDEr-D is 0 by its definition")
    elif len({frozenset(map(tuple, captions)) for captions in truths}) == 1:
        notes.append("all images have the same references: no n-gram is rare, so CIDEr-D is 0 by its definition")
    unmatched = [n for n in range(1, MAX_N + 1) if counts[:, n - 1].sum() == 0]
    if unmatched:
        notes.append(
            f"no {unmatched[0]}-gram of the predictions is in the references; from bleu_{unmatched[0]} on BLEU is the "
            "tiny number that the COCO code gives in place of 0"
        )
    return notes
