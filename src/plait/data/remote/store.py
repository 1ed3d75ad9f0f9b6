"""Where fetched objects lie: each content under its sha256, and for each address a small file that says which it was.

In ``$PLAIT_CACHE/objects``, ``<two letters>/<sha256>`` are the contents, ``index/<two letters>/<key>.json`` what is
known of an address: etag or time of change, size and sha256, and never the address itself. Both are written whole or
not at all. Objects are only ever added; the folder may be removed when nothing is running.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from plait.data.remote.address import address_key
from plait.files import DiskFullError, cache_root, file_sha256, is_disk_full, megabytes, temporary_name, write_text

_LEFT_OVER = 24 * 3600.0  # seconds after which a file of a process that was killed is removed


class CacheFolderError(OSError):
    """Nothing can be written into the cache folder; the message says where, why and what to do."""


@dataclass(frozen=True)
class KnownObject:
    """What is known of an address.

    Attributes:
        facts: By what a changed object is noticed: ``etag``, ``modified``, ``size``.
        sha256: Of its content.
        path: Where the content lies.
    """

    facts: dict[str, str]
    sha256: str
    path: Path


class ObjectStore:
    """Contents on disk.

    Args:
        root: The folder; None: ``objects`` in the cache folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_root() / "objects" if root is None else root

    def known(self, address: str) -> KnownObject | None:
        """What is known of an address; None where nothing is, or its content is not whole."""
        try:
            told = json.loads(self._note(address).read_text(encoding="utf-8"))
            facts, sha256, size = dict(told["facts"]), str(told["sha256"]), int(told["size"])
            path = self._place(sha256)
            if path.stat().st_size != size or file_sha256(path) != sha256:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return KnownObject(facts, sha256, path)

    def write(self, address: str, fetch: Callable[[Callable[[bytes], object]], dict[str, str] | None]) -> Path | None:
        """Take what ``fetch`` writes as the content of an address.

        Args:
            address: The address.
            fetch: Gets the function that takes a piece; gives what is to be remembered, or None for "as before".

        Returns:
            Where it lies; None where ``fetch`` said "as before".

        Raises:
            CacheFolderError: The cache folder cannot be written.
            DiskFullError: The disk is full.
            EmptyObjectError: Nothing was written.
        """
        part: Path | None = None
        hashed, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as closing:
            file = None

            def take(piece: bytes) -> None:
                nonlocal file, part, size
                size += len(piece)
                hashed.update(piece)
                with self._writing(size):
                    if file is None:
                        self.root.mkdir(parents=True, exist_ok=True)
                        part = self.root / temporary_name()
                        closing.callback(part.unlink, missing_ok=True)
                        file = closing.enter_context(part.open("xb"))
                    file.write(piece)

            facts = fetch(take)
            if facts is None:
                return None
            if file is None or part is None:
                raise EmptyObjectError
            sha256 = hashed.hexdigest()
            place = self._place(sha256)
            with self._writing(size):
                file.close()
                place.parent.mkdir(parents=True, exist_ok=True)
                part.replace(place)
                note = self._note(address)
                note.parent.mkdir(parents=True, exist_ok=True)
                told = {"facts": facts, "sha256": sha256, "size": size}
                write_text(note, json.dumps(told, sort_keys=True), part_name=temporary_name())
        return place

    def sweep(self) -> None:
        """Remove what processes that were killed left behind, a day later."""
        with contextlib.suppress(OSError):
            for path in self.root.glob("tmp-*"):
                if time.time() - path.stat().st_mtime > _LEFT_OVER:
                    path.unlink(missing_ok=True)

    def _place(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256

    def _note(self, address: str) -> Path:
        key = address_key(address)
        return self.root / "index" / key[:2] / f"{key}.json"

    @contextlib.contextmanager
    def _writing(self, size: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(
                    f"the disk is full: no room to keep a fetched object ({megabytes(size)}) in {self.root}; make "
                    "room, or set PLAIT_CACHE to a folder of another disk. What was fetched before stays there"
                ) from error
            why = os.strerror(error.errno) if error.errno else type(error).__name__
            raise CacheFolderError(
                f"cannot keep fetched objects in {self.root} ({why}); make it writable, or set PLAIT_CACHE to a folder "
                "that is"
            ) from error


class EmptyObjectError(Exception):
    """An object holds nothing."""
