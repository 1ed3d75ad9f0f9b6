"""Parts answered by a Ray cluster: Ray Data brings rows to processes that hold the model, and their files back.

Ray is the executor and nothing else. One task on the asking machine reads the table part by part, an actor of a fixed
pool answers each part with the code of a local worker (:class:`plait.api.batch.worker.Answering`) in a folder of its
own, and the bytes of its file come back. The asking process alone gives files their places and keeps the journal: Ray
may run a part twice when a worker or a machine dies, but only one answer of it arrives, and a part is taken once. So
the folder is that of a single machine, and either can go on where the other was stopped.

Nothing is asked of the network but the cluster that was named; usage reports of Ray are switched off. Extra ``ray``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait import __version__
from plait.api.batch.source import RowSource, missing_parts
from plait.api.batch.work import How
from plait.api.batch.worker import SOURCE, Answering, WorkerDiedError, as_answer, as_message, what_to_hold

LOCAL, AUTO = "local", "auto"
LONGEST_KNOCK = 3.0  # seconds to wait for a connection to the address of a cluster
MOST_STARTS = 4  # of one part, after which the death of its workers is taken to be its own fault
LEAST_STORE, MOST_STORE = 80_000_000, 1_000_000_000  # bytes of Ray's object store on one machine
_QUIET = {  # else Ray writes of its own workings on the terminal
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


@dataclass(frozen=True)
class RayAnswer:
    """A part that came back.

    Attributes:
        number: Its number.
        first: How many rows of the table stand before its own.
        taken: Rows of the table in it.
        answer: What the worker says, for :func:`plait.api.batch.worker.facts_of`.
        data: Its file.
    """

    number: int
    first: int
    taken: int
    answer: dict[str, Any]
    data: memoryview


def check_ray(address: str) -> None:
    """Make sure, before any work, that an address can be one, and that Ray Data is installed.

    Raises:
        ImportError: It is not.
        ValueError: The address cannot be used.
    """
    if not isinstance(address, str) or not address.strip():
        raise ValueError(
            f"ray must be 'local', 'auto' or the address of a cluster such as '10.0.0.7:6379', got {address!r}"
        )
    if "://" in address:
        raise ValueError(
            f"ray={address!r} connects from outside the cluster, and the table is read on a machine of it: type the "
            "same there (ray job submit -- plait ...) with 'auto'"
        )
    _listens(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"workers of Ray need the package ray with what Ray Data needs ({error}); type pip install 'plait[ray]'"
        ) from error


def _listens(address: str) -> None:
    """Make sure that somebody takes connections at HOST:PORT; Ray itself tries for most of a minute.

    Raises:
        ValueError: Nobody does, or it is no address.
    """
    if address in (LOCAL, AUTO):
        return
    host, colon, port = address.strip().rpartition(":")
    if not colon or not host.strip("[]") or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"ray={address!r} is no address of a cluster; expected HOST:PORT such as '10.0.0.7:6379'")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LONGEST_KNOCK).close()
    except (OSError, UnicodeError) as error:
        words = "no answer within some seconds" if isinstance(error, TimeoutError) else str(error)
        raise ValueError(
            f"nobody listens at ray={address!r} ({words}); start a cluster there with: ray start --head "
            f"--port={port}, or type ray='local' for processes of this machine"
        ) from error


def answered_parts(
    address: str, workers: int | None, model: Path, sha256: str, how: How,
    wording: Callable[[str], str] | None, source: RowSource, there: Mapping[int, tuple[int, int]],
) -> Iterator[RayAnswer]:  # fmt: skip
    """Have the parts that are not there answered, in whatever order they are finished.

    Args:
        address: "local" for processes of this machine, "auto" for the cluster of which it is a part, or the address of
            that cluster, such as "10.0.0.7:6379". A connection that this process has already is used and kept.
        workers: Processes, each with the model in memory and one core; None: as many as the cluster has cores.
        model: The model folder, which every machine must see under this path.
        sha256: Which model it is.
        how: How parts are answered.
        wording: As of :class:`plait.api.batch.worker.Worker`.
        source: The table.
        there: As of :func:`plait.api.batch.source.missing_parts`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: No cluster answers.
        WorkerDiedError: A worker was lost and could not be started again.
        RuntimeError: Ray failed otherwise.
    """
    with _connected(address, workers) as cores:
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # bytes, so that each part is a block of its own
        asked = {"plait": __version__, "hold": what_to_hold(model, sha256, how, wording)}
        pool = ActorPoolStrategy(size=workers or cores, max_tasks_in_flight_per_actor=2)
        with DataContext.current(context), _quiet():
            read = partial(_read_put, ray.put(source), dict(there))
            rows = ray.data.read_datasource(_datasource(read), num_cpus=0, override_num_blocks=1)
            answered = rows.map_batches(
                PartAnswerer, fn_constructor_args=(asked, partial(_count, _starts())), batch_size=1,
                batch_format="pyarrow", compute=pool, num_cpus=1,
            )  # fmt: skip
            try:
                for block in answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                    yield from answers_in(block)
            except ray.exceptions.RayError as error:
                raise _in_words(error) from error


def answers_in(block: pa.Table) -> Iterator[RayAnswer]:
    """The answers that rows of :class:`PartAnswerer` hold."""
    for i in range(block.num_rows):
        number, first, taken = (block.column(name)[i].as_py() for name in ("number", "first", "taken"))
        data = memoryview(block.column("data")[i].as_buffer())
        yield RayAnswer(number, first, taken, json.loads(block.column("answer")[i].as_py()), data)


def _in_words(error: Exception) -> RuntimeError:
    """What Ray raises when it cannot go on, as an error of ours; Ray wraps what happened in errors of its own."""
    from ray import exceptions as known

    gone = (known.RayActorError, known.WorkerCrashedError, known.OutOfMemoryError, known.NodeDiedError)
    inner: BaseException = error
    while not isinstance(inner, gone):
        following = getattr(inner, "cause", None) or inner.__cause__
        if not isinstance(following, BaseException):
            break
        inner = following
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    words = f"{type(inner).__name__}: {lines[0] if lines else ''}"
    if isinstance(inner, gone):
        return WorkerDiedError(f"Ray lost workers ({words}); if memory ran out, ask for fewer workers or part_rows")
    return RuntimeError(f"Ray could not go on ({words})")


def _datasource(read: Callable[[], Iterator[pa.Table]]) -> Any:
    """The table for Ray Data: one task, on the asking machine, that yields a block for each part."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class Parts(Datasource):
        supports_distributed_reads = False

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
            unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(read, unknown)]

    return Parts()


def _read_put(source: Any, there: dict[int, tuple[int, int]]) -> Iterator[pa.Table]:
    """The same for a table that lies in Ray's object store."""
    import ray

    return read_parts(ray.get(source), there)


def read_parts(source: RowSource, there: Mapping[int, tuple[int, int]]) -> Iterator[pa.Table]:
    """The parts that are missing, each a table of one row; what goes wrong is the last of them."""
    parts = missing_parts(source, there)
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                following = next(parts, None)
                if following is None:
                    return
                number, part = following
                head, rows = as_message(part.table)
                place = (number, part.first, len(part.table))
            except Exception as error:  # whoever asked hears of it, whatever it is
                head, rows, place = as_answer(error), b"", (-1, 0, 0)
        head["warnings"] = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
        yield _row(*place, head=json.dumps(head), rows=rows)
        if "error" in head:
            return


def _row(number: int, first: int, taken: int, **more: Any) -> pa.Table:
    """A part, or the answer to it, as a table of one row."""
    columns = {"number": [number], "first": [first], "taken": [taken]}
    return pa.table({
        **columns,
        **{name: pa.array([value], pa.large_binary() if isinstance(value, bytes) else pa.large_string())
           for name, value in more.items()},
    })  # fmt: skip


def _starts() -> Any:
    """An actor that counts how often each part was begun; by value, so that it need not import Plait."""
    import ray

    class Starts:
        def __init__(self) -> None:
            self.counts: dict[int, int] = {}

        def count(self, number: int) -> int:
            self.counts[number] = self.counts.get(number, 0) + 1
            return self.counts[number]

    return ray.remote(num_cpus=0)(Starts).remote()


def _count(starts: Any, number: int) -> int:
    import ray

    return ray.get(starts.count.remote(number))


class PartAnswerer:
    """An actor of the pool: holds the model, gets the row of a part, gives the row of its answer.

    Args:
        asked: Version of Plait, and what a worker is told.
        begun: Counts the start of a part of this number; gives how many there were.
    """

    def __init__(self, asked: dict[str, Any], begun: Callable[[int], int]) -> None:
        self._plait, self._answering, self._begun = asked["plait"], Answering(asked["hold"]), begun
        self._format = asked["hold"]["how"]["format"]

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Answer the part of the one row of a batch."""
        number, first, taken = (batch.column(name)[0].as_py() for name in ("number", "first", "taken"))
        head = json.loads(batch.column("head")[0].as_py())
        answer, data = head, b""
        if "error" not in head:
            refused = self._refused(number, first, taken)
            if refused is None:
                answer, data = self._answer(head, batch.column("rows")[0].as_buffer())
            else:
                answer = as_answer(refused) | {"warnings": []}
        return _row(number, first, taken, answer=json.dumps(answer), data=data)

    def _refused(self, number: int, first: int, taken: int) -> Exception | None:
        """Why this actor should not answer a part."""
        if self._plait != __version__:
            words = f"a machine of the cluster has Plait {__version__}, and the asking one {self._plait}; install one"
            return ValueError(words)
        if self._begun(number) > MOST_STARTS:
            return RuntimeError(
                f"{MOST_STARTS} workers of Ray ended while they answered rows {first} to {first + taken - 1}; if "
                "memory ran out, ask for fewer workers or fewer part_rows"
            )
        return None

    def _answer(self, head: dict[str, Any], rows: Any) -> tuple[dict[str, Any], bytes]:
        with tempfile.TemporaryDirectory(prefix="plait-part-") as folder:
            place = Path(folder) / f"part.{self._format}"
            answer = self._answering.answer({**head, "place": str(place)}, rows)
            answer["warnings"] = [*head["warnings"], *answer["warnings"]]
            return answer, place.read_bytes() if place.exists() else b""


@contextlib.contextmanager
def _connected(address: str, workers: int | None) -> Iterator[int]:
    """A connection to a cluster, or one of this machine's own for as long; gives the number of its cores."""
    check_ray(address)
    import ray

    if ray.is_initialized():
        yield _cores(ray)
        return
    terminate = signal.getsignal(signal.SIGTERM)  # ray.init puts another one in its place
    try:
        if address == LOCAL:
            with _own_code():
                ray.init(
                    address=LOCAL, num_cpus=workers or _cores_here(), object_store_memory=_store_bytes(),
                    _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False, logging_level="error",
                )  # fmt: skip
        else:
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error")
            except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
                words = (str(error).splitlines() or [type(error).__name__])[0]
                raise ValueError(
                    f"no Ray cluster answers at {address!r} ({words}); start one (see ray start), or type ray=local "
                    "for processes of this machine"
                ) from error
        yield _cores(ray)
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _cores_here() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _store_bytes() -> int:
    """Bytes for Ray's object store that fit the shared memory of a container; where they do not, Ray takes a file."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        free = MOST_STORE
    return max(LEAST_STORE, min(MOST_STORE, free // 2))


@contextlib.contextmanager
def _own_code() -> Iterator[None]:
    """Let processes that are started meanwhile import this very Plait, and no copy of the working folder."""
    wanted = {
        "PYTHONPATH": os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_worker_niceness": os.environ.get("RAY_worker_niceness", "0"),  # 15 by default: behind all others here
        # by default it ends workers when others have filled the memory of the machine
        "RAY_memory_monitor_refresh_ms": os.environ.get("RAY_memory_monitor_refresh_ms", "0"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Data from telling of its plans on the terminal."""
    logger = logging.getLogger("ray.data")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # what ends the run is raised
    try:
        yield
    finally:
        logger.setLevel(before)
