"""The objects that the cells of a table name: brought once, several at once, and remembered from run to run.

An object that was fetched before is asked for its etag or time of change only. One whose host cannot be reached now is
taken as it was, which is said. What is wrong with one object is a :class:`~plait.data.cell_error.CellError`.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plait.data.cell_error import CellError, shown
from plait.data.progress import Progress
from plait.data.remote.address import BUCKETS, scheme_of
from plait.data.remote.buckets import fetch_from_bucket, file_system
from plait.data.remote.endpoint import check_endpoint
from plait.data.remote.fault import NotFetchedError
from plait.data.remote.store import EmptyObjectError, ObjectStore
from plait.data.remote.web import fetch_web

AT_ONCE = 8
SECONDS = 120.0  # an object, each try
TRIES = 3
GIVEN_UP_AFTER = 3  # objects of a host that never answered; the others are not waited for
FIRST_WAIT = 0.5  # seconds before the second try; each further wait is twice as long
NOT_ASKED, FAILED = "not asked", "failed"

Brought = tuple[Path | str, str]  # the place of an object or why there is none, and how it came


class RemoteObjects:
    """Brings objects by their address, each at most once for a table.

    Attributes:
        counts: How many objects were "fetched", are "unchanged" since they were fetched before, were "not asked" for
            because their host cannot be reached now (and were fetched before), or "failed".
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._found: dict[str, Path | str] = {}
        self._systems: dict[str, Any] = {}
        self._reached: set[str] = set()  # schemes whose endpoint answers
        self._silent: set[str] = set()  # hosts that could not be reached
        self._unanswered: Counter[str] = Counter()  # objects of a host that none of the tries brought
        self._answering: set[str] = set()
        self._is_told = False

    def find(self, address: str, max_bytes: int) -> Path:
        """The place of an object's content on this machine.

        Args:
            address: Its address.
            max_bytes: The largest that is taken.

        Raises:
            CellError: It cannot be had.
            CacheFolderError: The cache folder cannot be written.
            DiskFullError: The disk is full.
            ImportError: A library is missing.
        """
        if address not in self._found:
            self._keep(address, self._brought(address, max_bytes, lambda: False))
            self._tell()
        found = self._found[address]
        if isinstance(found, str):
            raise CellError(f"{shown(address)} cannot be fetched: {found}")
        return found

    def bring(self, addresses: Iterable[str], max_bytes: int, progress: Progress | None = None) -> None:
        """Bring objects, several at once; what is wrong with one is said when it is asked for.

        Args:
            addresses: Their addresses.
            max_bytes: The largest that is taken.
            progress: Called with the number of those that are done.

        Raises:
            CacheFolderError: The cache folder cannot be written.
            DiskFullError: The disk is full.
            ImportError: A library is missing.
        """
        wanted = [one for one in dict.fromkeys(addresses) if one not in self._found]
        if not wanted:
            return
        for scheme in sorted({str(scheme_of(one)) for one in wanted} & {*BUCKETS}):
            self._system(scheme)
        ObjectStore().sweep()
        is_over: list[bool] = []
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(wanted)), thread_name_prefix="plait-fetch") as pool:
            jobs: dict[Future[Brought], str] = {
                pool.submit(self._brought, one, max_bytes, lambda: bool(is_over)): one for one in wanted
            }
            try:
                for done, job in enumerate(as_completed(jobs), start=1):
                    self._keep(jobs[job], job.result())
                    if progress is not None:
                        progress(done, len(wanted), "fetching")
            except BaseException:  # Ctrl-C too: those under way end at their next piece
                is_over.append(True)
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._tell()

    def _system(self, scheme: str) -> Any:
        if scheme not in self._systems:
            self._systems[scheme] = file_system(scheme)
        return self._systems[scheme]

    def _keep(self, address: str, brought: Brought) -> None:
        self._found[address] = brought[0]
        self.counts[brought[1]] += 1

    def _brought(self, address: str, max_bytes: int, is_over: Callable[[], bool]) -> Brought:
        """The place of an object, or why there is none; and how it came."""
        store = ObjectStore()
        known = store.known(address)
        host = _host(address)
        if known is not None and host in self._silent:
            return known.path, NOT_ASKED
        if self._unanswered[host] >= GIVEN_UP_AFTER and host not in self._answering:
            return f"its host did not answer for {GIVEN_UP_AFTER} other objects, so it was not asked again", FAILED
        for number in range(TRIES):
            try:
                place = store.write(address, self._fetcher(address, max_bytes, known.facts if known else None, is_over))
            except EmptyObjectError:
                self._answering.add(host)
                return "it is empty (0 bytes)", FAILED
            except NotFetchedError as error:
                if not error.is_passing or is_over():
                    self._answering.add(host)
                    return str(error), FAILED
                if known is not None:
                    self._silent.add(host)
                    return known.path, NOT_ASKED
                if number + 1 == TRIES:
                    self._unanswered[host] += 1
                    return f"{error} (tried {TRIES} times)", FAILED
                time.sleep(FIRST_WAIT * 2**number)
                continue
            self._answering.add(host)
            if place is None:
                assert known is not None
                return known.path, "unchanged"
            return place, "fetched"
        raise AssertionError("unreachable")

    def _fetcher(
        self, address: str, max_bytes: int, known: dict[str, str] | None, is_over: Callable[[], bool]
    ) -> Callable[[Callable[[bytes], object]], dict[str, str] | None]:
        def fetch(write: Callable[[bytes], object]) -> dict[str, str] | None:
            def take(piece: bytes) -> None:
                if is_over():
                    raise NotFetchedError("not_fetched", "the run was stopped")
                write(piece)

            until = time.monotonic() + SECONDS
            scheme = str(scheme_of(address))
            if scheme in BUCKETS:
                if scheme not in self._reached:
                    check_endpoint(scheme)
                    self._reached.add(scheme)
                system = self._system(scheme)
                return fetch_from_bucket(system, address, take, most_bytes=max_bytes, until=until, known=known)
            return fetch_web(address, take, most_bytes=max_bytes, until=until, known=known)

        return fetch

    def _tell(self) -> None:
        """Say once that copies of an earlier run stand in for objects that could not be asked for."""
        if self.counts[NOT_ASKED] and not self._is_told:
            self._is_told = True
            hosts = ", ".join(sorted(self._silent))
            warnings.warn(
                f"objects of {hosts} cannot be reached now; their copies of an earlier run are used, whether they "
                "have changed or not",
                UserWarning,
                stacklevel=4,
            )


def _host(address: str) -> str:
    """Scheme and host or bucket, without names and passwords."""
    try:
        parts = urlsplit(address)
        return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        return str(scheme_of(address))
