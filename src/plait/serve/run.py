"""From the command to a running server: the model, the address, signals, workers. uvicorn; extra ``serve``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.serve.features import PassingFeatures, passing_features
from plait.serve.first_look import address_of, bind, check_model, check_names, listen, require_extra
from plait.serve.log import Log, LoggedQuietly
from plait.serve.options import ServeOptions

if TYPE_CHECKING:
    from plait.serve.server import Server

CONNECTIONS_A_REQUEST = 8  # so many times --max-requests are open at once; more are answered 503
COUNTS = "PLAIT_SERVE_COUNTS"  # tells a worker the folder where all leave their counts
MOST_RESTARTS = 5  # of one worker within a minute


def serve(
    model: str | Path, index: str | Path | None, options: ServeOptions, *, fd: int | None = None,
    again: Sequence[str] = (), started: float | None = None, lang: str | None = None,
) -> int:  # fmt: skip
    """Serve a model until told to stop (SIGTERM, Ctrl-C); what was taken by then is finished first.

    Args:
        model: A model folder.
        index: An index folder, or None.
        options: Address and limits.
        fd: A socket that listens already, of a worker; None: open one.
        again: The command line of one worker up to the number of its socket, without the interpreter; needed for more
            than one.
        started: When the process began, on the monotonic clock, from which the seconds to "ready" count; None: now.
        lang: Language of the lines for people, "en" or "zh"; None: English. Lines of JSON are English always.

    Returns:
        The exit code: 0, or 1 where work was left unfinished or a worker kept dying.

    Raises:
        ImportError: The extra is not installed.
        ValueError: The folder holds no model, or no index of this model.
        OSError: The address cannot be had.
    """
    started = time.monotonic() if started is None else started
    folder, of_index = Path(model), None if index is None else Path(index)
    require_extra()
    check_names(folder, of_index)
    log = Log(lang=lang)
    with bind(options) if fd is None else socket.socket(fileno=fd) as bound:
        if fd is None:
            if not options.is_local and options.token is None:
                log.write("warning", what="anyone who reaches this address may use the model; set a token")
            log.write("loading", model=folder.absolute().name, **_named(of_index))
            check_model(folder, of_index)
            if options.workers > 1:
                return _supervise(bound, options, log, again)
        warnings.showwarning = _quietly(log)
        logging.basicConfig(handlers=[LoggedQuietly(log)], level=logging.WARNING, force=True)
        with passing_features() as features:
            app, server = _application(model, index, options, log, features)
            if server.served.standing["caution"] is not None:
                log.write("caution", what=server.served.standing["caution"])
            server.started, server.address = started, address_of(bound, options)
            if fd is None:
                listen(bound, options)
            _say_listening(bound, options, log)
            return _run(app, server, bound, options, leave_with=os.getppid() if fd is not None else None)


def _named(index: Path | None) -> dict[str, str]:
    return {} if index is None else {"index": index.absolute().name}


def _say_listening(bound: socket.socket, options: ServeOptions, log: Log) -> None:
    host, port = bound.getsockname()[:2]
    log.write("listening", host=host, port=port, workers=options.workers, token=options.token is not None)


def _application(
    model: str | Path, index: str | Path | None, options: ServeOptions, log: Log,
    features: Callable[[str], PassingFeatures],
) -> tuple[Any, Server]:  # fmt: skip
    from plait.api import load
    from plait.serve.app import make_app
    from plait.serve.server import Server
    from plait.serve.work import ALONE, ServedModel

    fitted, opened = load(model), None
    if index is not None:
        from plait.index import open_index

        opened = open_index(index, fitted)
        assert opened.embedder is fitted  # refuses an index of another model
    served, shared = ServedModel(fitted, opened), os.environ.get(COUNTS)
    beside = ServedModel(load(model)) if set(ALONE) & set(served.run) else None
    server = Server(served, options, log, features, beside, None if shared is None else Path(shared))
    return make_app(server), server


def _run(app: Any, server: Server, listening: socket.socket, options: ServeOptions, *, leave_with: int | None) -> int:
    import uvicorn

    from plait.serve.protocol import PatientProtocol

    class Served(uvicorn.Server):
        """Without uvicorn's way with signals, which ends the process by the signal: stopping in order is no failure."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                try:
                    loop.add_signal_handler(number, self._stop)
                except NotImplementedError:  # Windows
                    signal.signal(number, lambda *_: self._stop())
            yield

        def _stop(self) -> None:
            self.force_exit = self.should_exit  # told twice: at once
            self.should_exit = server.is_stopping = True

        async def on_tick(self, counter: int) -> bool:
            if leave_with is not None and counter % 10 == 0 and os.getppid() != leave_with:
                self._stop()  # the process that would tell it to stop is gone
            return await super().on_tick(counter)

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none",
        timeout_keep_alive=20, h11_max_incomplete_event_size=64 * 1024, http=PatientProtocol, loop="asyncio",
        limit_concurrency=CONNECTIONS_A_REQUEST * options.max_requests,
        timeout_graceful_shutdown=max(1, round(options.grace + options.deadline)),
    )  # fmt: skip
    served = Served(config)
    served.run(sockets=[listening])
    return 0 if served.started and not served.force_exit else 1


def _supervise(listening: socket.socket, options: ServeOptions, log: Log, again: Sequence[str]) -> int:
    """Several workers over one socket, each a process of its own; one that dies is started again."""
    if os.name == "nt":
        raise ValueError("workers share a socket, which Windows does not allow; leave workers=N out")
    listen(listening, options)
    descriptor = listening.fileno()
    _say_listening(listening, options, log)
    command = [sys.executable, "-m", "plait", *again, str(descriptor)]
    counts = tempfile.TemporaryDirectory(prefix="plait-counts-")
    stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, COUNTS: counts.name}
        environment |= {} if options.token is None else {"PLAIT_SERVE_TOKEN": options.token}
        return subprocess.Popen(command, pass_fds=(descriptor,), env=environment, start_new_session=True)

    workers = [start() for _ in range(options.workers)]
    restarts: list[float] = []
    while not stopping:
        time.sleep(0.1)
        for place, worker in enumerate(workers):
            if worker.poll() is not None and not stopping:
                log.write("worker_died", code=worker.returncode)
                restarts = [then for then in restarts if time.monotonic() - then < 60] + [time.monotonic()]
                if len(restarts) > MOST_RESTARTS:
                    log.write("gave_up", restarts=len(restarts))
                    stopping = True
                    break
                workers[place] = start()
    failed = len(restarts) > MOST_RESTARTS
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    until = time.monotonic() + options.grace + options.deadline + 5
    codes = []
    for worker in workers:
        try:
            codes.append(worker.wait(max(0.1, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            worker.kill()
            codes.append(worker.wait())
    listening.close()
    counts.cleanup()
    log.write("stopped", workers=len(workers), codes=codes)
    return 0 if not failed and not any(codes) else 1


def _quietly(log: Log) -> Any:
    """Warnings as lines of the log, without their words, which may be of a cell."""

    def told(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        log.write("warned", kind=category.__name__, place=f"{Path(filename).name}:{lineno}")

    return told
