"""The tokenizer of the published COCO numbers itself: Stanford's PTBTokenizer 3.4.1, run through Java.

The oracle of ``caption_tokens``. It looks past the end of a line, so whether a last "etc."
keeps its full stop depends on the next caption; ``ptb`` of ``caption_tokens`` never looks further than its caption.
"""

from __future__ import annotations

from collections.abc import Sequence

from plait.metrics.caption_tokens import PUNCTUATION
from plait.metrics.meteor import java_program

PTB_JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
START = ["-cp", "JAR", "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", "-encoding", "UTF-8"]


def ptb_java_tokens(texts: Sequence[str], *, seconds: float = 300.0) -> list[list[str]]:
    """Tokens of each caption, lower case, without punctuation.

    Args:
        texts: Captions ``[N]``; line breaks inside one become spaces.
        seconds: Time limit; 10,000 captions take about two seconds.

    Returns:
        Tokens ``[N][T]``, none for an empty caption.

    Raises:
        ImportError: Java or pycocoevalcap is missing (``pip install plait[captions]``).
        TimeoutError: The limit was passed.
        RuntimeError: The program failed.
    """
    lines = [" ".join(text.split()) for text in texts]
    with java_program(PTB_JAR, START, seconds=seconds) as java:
        answer, _ = java.communicate("\n".join(lines) + "\n")
        lines_out = answer.split("\n")
        if len(lines_out) < len(lines):
            raise EOFError
    return [
        [token for token in line.split(" ") if token and token not in PUNCTUATION] for line in lines_out[: len(lines)]
    ]
