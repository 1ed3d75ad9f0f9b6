"""METEOR 1.5 of captions, by its own Java program with the English tables.

Plait starts the program that the COCO caption code uses, with the same options; nothing of it is rewritten here,
because the score rests on a table of 60 MB of English paraphrases. NLTK's METEOR has other parameters and no such
table: its numbers are not comparable. Starting takes about twenty seconds.

Reference: Denkowski and Lavie 2014, "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plait.metrics.caption_tokens import Tokens, check_token_rows
from plait.metrics.java_jars import java_program

_BETWEEN = " ||| "


def meteor_scores(
    predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]], *, seconds: float = 600.0
) -> tuple[float, NDArray[np.float64]]:
    """METEOR of the corpus and of each image.

    Args:
        predictions: Tokens of one English caption per image ``[N]``; a caption without tokens scores 0.
        references: Tokens of the true captions of each image ``[N][R]``.
        seconds: Time limit, start included.

    Returns:
        The corpus score (from summed statistics, so not the mean over images) and the scores ``[N]``, 0 to 1.

    Raises:
        ValueError: No images, lengths that disagree, an image without references.
        ImportError: Java or pycocoevalcap is missing (``pip install plait[captions]``).
        TimeoutError: The limit was passed.
        RuntimeError: The program failed.
    """
    check_token_rows(predictions, references)
    options = ["-", "-", "-stdio", "-l", "en", "-norm"]
    with java_program("meteor", options, seconds=seconds) as java:
        statistics = [
            _ask(java, _BETWEEN.join(["SCORE", *map(_line, truths), _line(guess)]))
            for guess, truths in zip(predictions, references, strict=True)
        ]
        _tell(java, _BETWEEN.join(["EVAL", *statistics]))
        scores = [float(_hear(java)) for _ in predictions]
        total = float(_hear(java))
    return total, np.asarray(scores)


def _line(tokens: Tokens) -> str:
    """One caption as a field of the protocol: no separator and no line break may come from the caption."""
    return " ".join(" ".join(tokens).replace("|||", " ").split())


def _ask(java: subprocess.Popen[str], line: str) -> str:
    _tell(java, line)
    return _hear(java)


def _tell(java: subprocess.Popen[str], line: str) -> None:
    assert java.stdin is not None
    java.stdin.write(line + "\n")
    java.stdin.flush()


def _hear(java: subprocess.Popen[str]) -> str:
    assert java.stdout is not None
    answer = java.stdout.readline()
    if not answer:
        raise EOFError
    return answer.strip()
