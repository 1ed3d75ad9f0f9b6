"""Running the two Java programs that the COCO caption metrics were published with, under a time limit.

Plait ships neither: both lie as jar files in the package ``pycocoevalcap`` (extra ``captions``), which is found
without importing it. A program runs without a shell, gets text through its input, and is killed when it exceeds its
time or when anything fails on our side. The jars have licences of their own: Stanford's tokenizer GPL, METEOR LGPL.
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

JARS = {"ptb": "tokenizer/stanford-corenlp-3.4.1.jar", "meteor": "meteor/meteor-1.5.jar"}


def why_unavailable(name: str) -> str | None:
    """None where the program can run, else a sentence that says what to install.

    Example:
        >>> why_unavailable("spice")
        Traceback (most recent call last):
        ValueError: no Java program 'spice'; there are ['meteor', 'ptb']
    """
    if name not in JARS:
        raise ValueError(f"no Java program {name!r}; there are {sorted(JARS)}")
    if shutil.which("java") is None:
        return (
            "no Java runtime on the PATH; install one (Debian and Ubuntu: apt install default-jre-headless, macOS: "
            "brew install openjdk), and pip install plait[captions] for the program itself"
        )
    if _jar(name) is None:
        return f"{JARS[name]} of the package pycocoevalcap was not found; pip install plait[captions]"
    return None


@contextmanager
def java_program(name: str, options: Sequence[str], *, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A running program with text pipes for input and output; it is killed at the end of the block at the latest.

    Args:
        name: "ptb" or "meteor".
        options: What to put after the class path or the jar.
        seconds: Time limit of the whole block.

    Raises:
        ImportError: Java or the jar is missing.
        TimeoutError: The time is over.
        RuntimeError: The program stopped early; the message ends with what it said.
    """
    missing = why_unavailable(name)
    jar = _jar(name)
    if missing is not None or jar is None:
        raise ImportError(missing)
    start = ["-jar", str(jar)] if name == "meteor" else ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", *start, *options]
    is_late = threading.Event()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, encoding="utf-8", cwd=jar.parent
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
                raise TimeoutError(f"{jar.name} ran longer than {seconds:g} s; give a larger time limit") from error
            said.seek(0)
            raise RuntimeError(f"{jar.name} stopped early: {said.read()[-500:].strip()}") from error
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


def _jar(name: str) -> Path | None:
    found = importlib.util.find_spec("pycocoevalcap")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / JARS[name]
        if path.is_file():
            return path
    return None
