"""The folder of a batch: which run it belongs to, which parts are whole, and the manifest, written last.

While a run is under way ``run.json`` says of which model, rows and options it is, and ``journal.jsonl`` has a line for
every part that is whole. A part is written under a hidden name, flushed to the disk and renamed; then comes its line.
So a process may be killed at any instant: what has a line is whole, and whatever else lies there is made anew. The
last step writes ``manifest.json``, and the two files go.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plait.api.batch.work import FEATURES, PartFacts
from plait.api.folder_checks import LOCK
from plait.api.model_folder import folder_lock
from plait.files import (
    check_writable,
    file_sha256,
    sync_folder,
    temporary_name,
    write_text,
)

RUN, JOURNAL, MANIFEST = "run.json", "journal.jsonl", "manifest.json"
KIND = "plait predictions"
FORMAT = 1
WAITING = ".part-"  # begins the names of parts that have no place yet


@dataclass(frozen=True)
class WrittenPart:
    """A part that is whole.

    Attributes:
        name: Its file.
        first: How many rows of the table stand before its own.
        taken: Rows of the table in it.
        bytes: Its size.
        sha256: Its hash.
        facts: What was learned of it.
    """

    name: str
    first: int
    taken: int
    bytes: int
    sha256: str
    facts: PartFacts

    @classmethod
    def of(cls, values: dict[str, Any]) -> WrittenPart:
        """A part from its line in the journal.

        Raises:
            TypeError: Other keys.
        """
        return cls(**{**values, "facts": PartFacts(**values["facts"])})


class BatchFolder:
    """A folder of parts that belongs to one run. To be used under :meth:`held`.

    Args:
        folder: The folder.
        identity: What the parts depend on, as JSON values.
        ending: Ending of the parts, without the dot.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], ending: str) -> None:
        self.folder, self.ending = folder, ending
        self.identity = {"kind": KIND, "format": FORMAT, **identity}
        self.done: dict[int, WrittenPart] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only process that writes there.

        Raises:
            ValueError: Another one does, or the folder cannot be written.
        """
        check_writable(self.folder)
        is_new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with folder_lock(self.folder):
                yield
        finally:
            if is_new and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def begin(self, *, overwrite: bool) -> dict[str, Any] | None:
        """Learn what is there: nothing, an unfinished run of the same identity, or all of it.

        Args:
            overwrite: Remove a run that is there and begin anew.

        Returns:
            The manifest where the same run has finished; else None, and ``done`` holds the parts that are whole.

        Raises:
            ValueError: The folder holds something else, or another run and ``overwrite`` is not set.
        """
        finished, started = (_read(self.folder / name) for name in (MANIFEST, RUN))
        there = finished or started
        if there is None:
            others = sorted(path.name for path in self.folder.iterdir() if path.name != LOCK)
            if others:
                raise ValueError(
                    f"{self.folder} holds {others[0]!r}, which is no part of a run of predictions; name a new or an "
                    "empty folder"
                )
        elif overwrite:
            self._sweep()
            self._clear()
        else:
            other = _difference(there, self.identity)
            if other:
                raise ValueError(
                    f"{self.folder} holds {'predictions' if finished else 'an unfinished run'} of {other}; name "
                    "another folder, or type overwrite=True to replace them"
                )
            if finished is not None:
                self._check_finished(finished)
                return finished
            self._sweep()
            self._read_journal()
        write_text(self.folder / RUN, _as_json(self.identity), lasting=True)
        write_text(self.folder / JOURNAL, "".join(map(_line, self.done.values())), lasting=True)
        return None

    def waiting_place(self, number: int) -> Path:
        """A hidden name in the folder for a part that is not whole yet."""
        return self.folder / f"{WAITING}{number:05d}.{temporary_name()}.{self.ending}"

    def take(self, number: int, first: int, taken: int, waiting: Path, facts: PartFacts) -> None:
        """Give a part that was written its place.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        name = f"part-{number:05d}.{self.ending}"
        with waiting.open("rb+") as file:
            os.fsync(file.fileno())
        part = WrittenPart(name, first, taken, waiting.stat().st_size, file_sha256(waiting), facts)
        waiting.replace(self.folder / name)
        sync_folder(self.folder)
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(_line(part))
            journal.flush()
            os.fsync(journal.fileno())
        self.done[number] = part

    def finish(self, count: int) -> dict[str, Any]:
        """Write the manifest: all parts are there.

        Args:
            count: How many parts there are.

        Returns:
            What it holds.
        """
        parts = [self.done[number] for number in range(count)]
        for path in self.folder.glob(f"part-*.{self.ending}"):
            if path.name not in {part.name for part in parts}:
                path.unlink()
        manifest = {
            **self.identity,
            "rows": sum(part.facts.rows for part in parts),
            "problems": sum(part.facts.problems for part in parts),
            "abstained": sum(part.facts.abstained for part in parts),
            "escaped": sum(part.facts.escaped for part in parts),
            "first_problems": [one for part in parts for one in part.facts.first_problems][:5],
            "parts": [
                {"name": p.name, "rows": p.facts.rows, "bytes": p.bytes, "sha256": p.sha256} for p in parts
            ],
        }  # fmt: skip
        write_text(self.folder / MANIFEST, _as_json(manifest), lasting=True)
        for name in (RUN, JOURNAL):
            (self.folder / name).unlink(missing_ok=True)
        return manifest

    def _sweep(self) -> None:
        """Remove what a process that was killed had begun."""
        for path in self.folder.glob(f"{WAITING}*"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob(f"{FEATURES}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _clear(self) -> None:
        """Remove a run, the file first by which it counts as finished."""
        parts = [path for ending in ("parquet", "csv", "jsonl") for path in self.folder.glob(f"part-*.{ending}")]
        for path in (self.folder / MANIFEST, *parts, self.folder / JOURNAL, self.folder / RUN):
            path.unlink(missing_ok=True)

    def _read_journal(self) -> None:
        """The parts with a line whose files are as the line says; a last line that was cut short counts for nothing."""
        try:
            lines = (self.folder / JOURNAL).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            lines = []
        for line in lines:
            try:
                part = WrittenPart.of(json.loads(line))
                number = int(part.name.removeprefix("part-").split(".")[0])
            except (ValueError, TypeError, KeyError):
                continue
            if _is_whole(self.folder / part.name, part.bytes, part.sha256):
                self.done[number] = part

    def _check_finished(self, manifest: dict[str, Any]) -> None:
        for part in manifest["parts"]:
            if not _is_whole(self.folder / part["name"], part["bytes"], part["sha256"]):
                raise ValueError(
                    f"{self.folder / part['name']} is missing or is not what was written; type overwrite=True to make "
                    "all parts anew"
                )


def _is_whole(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and file_sha256(path) == sha256
    except OSError:
        return False


def _read(path: Path) -> dict[str, Any] | None:
    """What a file of this kind says; None where there is none.

    Raises:
        ValueError: It is damaged, or of another kind.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); name another folder") from error
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ValueError(f"{path} is of something else than predictions of Plait; name another folder")
    return values


def _difference(there: dict[str, Any], asked: dict[str, Any]) -> str:
    """What differs between two runs, in words; "" where nothing does."""
    found = [
        words
        for key, words in (("model", "another model"), ("input", "another table, or one that was changed"),
                           ("plait", "another version of Plait"), ("format", "another version of Plait"))
        if there.get(key) != asked[key]
    ]  # fmt: skip
    before, now = there.get("options") or {}, asked["options"]
    changed = [key for key in now if key not in before or before[key] != now[key]]
    if changed:
        found.append("other options (" + ", ".join(f"{key} was {before.get(key)!r}" for key in changed) + ")")
    return " and of ".join(dict.fromkeys(found))


def _line(part: WrittenPart) -> str:
    return json.dumps(asdict(part), ensure_ascii=False) + "\n"


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"
