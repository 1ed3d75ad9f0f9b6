"""METEOR 1.5 of captions, by its own Java program with the English tables.

Plait starts the program that the COCO caption code uses, with the same options; nothing of it is rewritten here,
because the score rests on a table of 60 MB of English paraphrases. NLTK's METEOR has other parameters and no such
table: its numbers are not comparable. Starting takes about twenty seconds. The program lies in the package
``pycocoevalcap`` (extra ``captions``), which is found without importing it; it runs without a shell, gets text through
its input, and is killed when it exceeds its time or when anything fails on our side. It is under the LGPL.

Reference: Denkowski and Lavie 2014, "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.metrics.caption_tokens import Tokens, check_token_rows

METEOR_JAR = "meteor/meteor-1.5.jar"
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
    start = ["-jar", "JAR", "-", "-", "-stdio", "-l", "en", "-norm"]
    with java_program(METEOR_JAR, start, seconds=seconds) as java:
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


@contextmanager
def java_program(jar: str, start: Sequence[str], *, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A running program with text pipes for input and output; it is killed at the end of the block at the latest.

    Args:
        jar: Its file in the package ``pycocoevalcap``.
        start: Words after ``java`` and its own options; "JAR" stands for the place of the file.
        seconds: Time limit of the whole block.

    Raises:
        ImportError: Java or the jar is missing.
        TimeoutError: The time is over.
        RuntimeError: The program stopped early; the message ends with its own.
    """
    missing, place = why_unavailable(jar), _place_of(jar)
    if missing is not None or place is None:
        raise ImportError(missing)
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", *(str(place) if word == "JAR" else word for word in start)]
    is_late = threading.Event()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, encoding="utf-8", cwd=place.parent
        )

        def stop() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            yield process
        except (BrokenPipeError, EOFError) as error:
            if is_late.is_set():
                raise TimeoutError(f"{place.name} ran longer than {seconds:g} s; give a larger time limit") from error
            log.seek(0)
            raise RuntimeError(f"{place.name} stopped early: {log.read()[-500:].strip()}") from error
        finally:
            timer.cancel()
            process.kill()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)
            process.wait()


def _close(pipe: object) -> None:
    try:
        pipe.close()  # type: ignore[attr-defined]
    except BrokenPipeError:
        return  # unsent input of a program that is dead already


def why_unavailable(jar: str = METEOR_JAR) -> str | None:
    """None where the program can run, else a sentence that says what to install."""
    if shutil.which("java") is None:
        return (
            "no Java runtime on the PATH; install one (Debian and Ubuntu: apt install default-jre-headless, macOS: "
            "brew install openjdk), and pip install plait[captions] for the program itself"
        )
    if _place_of(jar) is None:
        return f"{jar} of the package pycocoevalcap was not found; pip install plait[captions]"
    return None


def _place_of(jar: str) -> Path | None:
    found = importlib.util.find_spec("pycocoevalcap")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / jar
        if path.is_file():
            return path
    return None
