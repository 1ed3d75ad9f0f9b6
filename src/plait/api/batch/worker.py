"""A process that answers parts for another one: it gets tables on its standard input and gives facts back.

A message is the length of a JSON object, the object, the length of what follows, and that: the rows as an Arrow stream.
The worker writes a part under a name that is nobody's yet; whoever asked for it gives it its place. When that process
is gone, however it ended, the worker's input ends, and so does the worker.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from plait.api.batch.work import How, PartFacts, answer_part, load_same, one_thread
from plait.data.memory import VARIABLE as MEMORY_VARIABLE
from plait.data.table import BadRow, Table
from plait.data.values import ColumnReading
from plait.training.fitted import FittedParts

_LENGTH = struct.Struct(">Q")
_START = "from plait.api.batch.worker import main; main()"
SOURCE = Path(__file__).resolve().parents[3]


class WorkerDiedError(RuntimeError):
    """A worker ended without an answer, as one does that the system kills when memory runs out."""


class Worker:
    """Another process with the model in it.

    Args:
        model: The model folder.
        sha256: Which model it holds (``model_sha256``).
        how: How parts are answered.
        wording: A function of a module, which turns each problem into the words of whoever reads it.
        memory: Bytes that it may hold; None: what the environment says.
    """

    def __init__(
        self, model: Path, sha256: str, how: How, wording: Callable[[str], str] | None = None,
        memory: int | None = None,
    ) -> None:  # fmt: skip
        paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
        bounded = {} if memory is None else {MEMORY_VARIABLE: str(memory)}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **bounded},
            start_new_session=True,  # Ctrl-C reaches whoever asked, who alone explains how to go on
        )  # fmt: skip
        self._send(what_to_hold(model, sha256, how, wording))

    def answer(self, table: Table, place: Path, told: dict[str, None]) -> PartFacts:
        """Have a part answered and written to a file.

        Args:
            table: The rows.
            place: The file.
            told: Gets the warnings, each once.

        Raises:
            ValueError: What :func:`plait.api.batch.work.answer_part` raises.
            WorkerDiedError: The process is gone.
        """
        head, rows = as_message(table)
        self._send({**head, "place": str(place.absolute())}, rows)
        found = _received(self.process.stdout)
        if found is None:
            code = self.process.wait()
            raise WorkerDiedError(
                f"a worker ended ({code}) while it answered rows {table.row_number(0)} to "
                f"{table.row_number(len(table) - 1)}; if memory ran out, ask for fewer workers"
            )
        return facts_of(found[0], told)

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self.process.wait()

    def _send(self, head: dict[str, Any], payload: bytes = b"") -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # who is gone does not answer either
            _send(self.process.stdin, head, payload)


def what_to_hold(
    model: Path, sha256: str, how: How, wording: Callable[[str], str] | None
) -> dict[str, Any]:  # fmt: skip
    """What a worker is told once, as JSON values: which model it holds, and how it answers."""
    words = None if wording is None else [wording.__module__, wording.__qualname__]
    return {"model": str(model.absolute()), "sha256": sha256, "how": asdict(how), "wording": words}


def as_message(table: Table) -> tuple[dict[str, Any], bytes]:
    """Rows as JSON values and an Arrow stream, of which :class:`Answering` makes the table again."""
    head = {
        "root": None if table.root is None else str(table.root), "source": table.source,
        "allow_outside": table.allow_outside, "allow_remote": table.remote is not None, "numbers": table.row_numbers,
        "bad_rows": [[one.row, one.column, one.reason] for one in table.bad_rows],
        "readings": {name: asdict(reading) for name, reading in table.readings.items()},
    }  # fmt: skip
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.arrow.schema) as stream:
        stream.write_table(table.arrow)
    return head, bytes(sink.getvalue())


def facts_of(answer: dict[str, Any], told: dict[str, None]) -> PartFacts:
    """What a worker learned of a part, from its answer.

    Args:
        answer: The answer.
        told: Gets its warnings, each once.

    Raises:
        ValueError: What :func:`plait.api.batch.work.answer_part` raised there.
    """
    told |= dict.fromkeys(answer["warnings"])
    if "error" in answer:
        error = ValueError(answer["error"]) if answer["is_value"] else RuntimeError(answer["error"])
        if answer["number"] is not None:
            raise error from OSError(answer["number"], os.strerror(answer["number"]))
        raise error
    return PartFacts(**answer["facts"])


def as_answer(error: Exception) -> dict[str, Any]:
    """An error as JSON values, which :func:`facts_of` raises again."""
    words = str(error) or type(error).__name__
    return {"error": words, "is_value": isinstance(error, ValueError), "number": _system_number(error)}


def _send(stream: IO[bytes], head: dict[str, Any], payload: bytes = b"") -> None:
    words = json.dumps(head).encode()
    stream.write(_LENGTH.pack(len(words)) + words + _LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def _received(stream: IO[bytes] | None) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None at the end."""
    assert stream is not None
    head = _block(stream)
    payload = None if head is None else _block(stream)
    return None if head is None or payload is None else (json.loads(head), payload)


def _block(stream: IO[bytes]) -> bytes | None:
    size = stream.read(_LENGTH.size)
    if len(size) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(size)[0]
    data = stream.read(length)
    return data if len(data) == length else None


def _table_of(head: dict[str, Any], payload: Any) -> Table:
    with pa.ipc.open_stream(payload) as stream:
        arrow = stream.read_all()
    readings = {
        name: ColumnReading(**{**values, "missing": tuple(values["missing"])})
        for name, values in head["readings"].items()
    }
    bad = tuple(BadRow(*one) for one in head["bad_rows"])
    root = None if head["root"] is None else Path(head["root"])
    table = Table(arrow, root, head["source"], bad, tuple(head["numbers"]), readings, head["allow_outside"])
    return table.opened_up(allow_remote=head["allow_remote"])


def _system_number(error: BaseException) -> int | None:
    """The number by which the system names what is behind an error, such as a full disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen.errno
        seen = seen.__cause__ or seen.__context__
    return None


class Answering:
    """A model in memory, and parts answered with it: what a worker does, whoever started it.

    Args:
        asked: What it is told once (:func:`what_to_hold`). The model is loaded for the first part.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._how = How(**{**asked["how"], "set": tuple(asked["how"]["set"])})
        self._fitted: FittedParts | None = None
        self._wording: Callable[[str], str] | None = None

    def answer(self, head: dict[str, Any], payload: Any) -> dict[str, Any]:
        """Answer a part and write it to the file ``head["place"]``; what goes wrong is said in what it returns.

        Args:
            head: Of :func:`as_message`, with the place.
            payload: The rows, bytes or a buffer.

        Returns:
            For :func:`facts_of`.
        """
        told: dict[str, Any] = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fitted = self._model()
                table, place = _table_of(head, payload), Path(head["place"])
                with one_thread():
                    facts = answer_part(fitted, table, place, self._how, wording=self._wording)
                told["facts"] = facts.to_json()
            except Exception as error:  # whoever asked hears of it, whatever it is
                told |= as_answer(error)
        told["warnings"] = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
        return told

    def _model(self) -> FittedParts:
        if self._fitted is None:
            fitted = load_same(Path(self._asked["model"]), self._asked["sha256"])
            self._how.apply_to(fitted)
            if self._asked["wording"] is not None:
                module, name = self._asked["wording"]
                self._wording = getattr(importlib.import_module(module), name)
            self._fitted = fitted
        return self._fitted


def main() -> None:
    """Answer parts until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    questions = sys.stdin.buffer
    first = _received(questions)
    if first is None:
        return
    answering = Answering(first[0])
    while (message := _received(questions)) is not None:
        told = answering.answer(*message)
        with contextlib.suppress(BrokenPipeError):
            _send(answers, told)
