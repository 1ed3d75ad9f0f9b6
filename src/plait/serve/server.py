"""One served model: its threads, its counts, whether it is ready; what a request waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.serve.cells import CellReader
from plait.serve.features import PassingFeatures
from plait.serve.gate import ClientGoneError
from plait.serve.log import Log
from plait.serve.metrics import Metrics
from plait.serve.options import ServeOptions
from plait.serve.queue import ModelThread, Run
from plait.serve.refusal import Refusal
from plait.serve.work import ALONE, ServedModel

if TYPE_CHECKING:
    from fastapi import Request


class Server:
    """One served model: its thread, its counts, and whether it is ready.

    Args:
        served: The model.
        options: The limits.
        log: Where lines go.
        features: Of a thread by its name.
        beside: The same model once more, which does what takes long (``ALONE``) on a thread of its own meanwhile; None:
            one thread does everything.
        shared: Where the counts of several workers meet, or None.
    """

    def __init__(
        self, served: ServedModel, options: ServeOptions, log: Log,
        features: Callable[[str], PassingFeatures] = lambda name: PassingFeatures(),
        beside: ServedModel | None = None, shared: Path | None = None,
    ) -> None:  # fmt: skip
        self.served, self.options, self.log, self.metrics = served, options, log, Metrics(shared)
        self.cells = CellReader(served.columns, options)
        apart = {kind: beside.run[kind] for kind in ALONE if kind in served.run} if beside is not None else {}
        self.threads = [self._thread("model", {k: v for k, v in served.run.items() if k not in apart}, features)]
        self._thread_of = dict.fromkeys(served.run, self.threads[0])
        if apart:
            self.threads.append(self._thread("beside", apart, features))
            self._thread_of |= dict.fromkeys(apart, self.threads[1])
        self.is_ready = self.is_stopping = False
        self.started, self.address = time.monotonic(), ""  # when the process began; what to type into a browser
        self.metrics.gauges |= {
            "ready": ("Whether the model is warm and takes requests.", lambda: float(self.takes_requests)),
            "queue_rows": ("Rows that wait for the model.", lambda: float(sum(t.waiting for t in self.threads))),
        }

    def _thread(
        self, name: str, run: dict[str, Run], features: Callable[[str], PassingFeatures]
    ) -> ModelThread:  # fmt: skip
        """A thread that does some kinds of work, and warms them up."""
        options, log, passing = self.options, self.log, features(name)
        warm_up = self.served.warming(run)
        return ModelThread(
            {**run, "warm_up": lambda _, rows: [warm_up() for _ in rows]}, self.metrics,
            batch_size=options.batch_size, batch_wait=options.batch_wait_ms / 1000, max_queue=options.max_queue,
            alone=(*ALONE, "warm_up"), on_fault=lambda kind, error: log.fault(error, kind=kind),
            begin=passing.begin, after_batch=passing.after_batch,
        )  # fmt: skip

    @property
    def is_busy(self) -> bool:
        """Whether any thread has work that is not finished."""
        return any(thread.is_busy for thread in self.threads)

    @property
    def takes_requests(self) -> bool:
        """Whether it is warm and was not told to stop."""
        return self.is_ready and not self.is_stopping

    async def warm_up(self) -> None:
        """Start the threads and let each answer made-up rows; ready when that is done."""
        for thread in self.threads:  # one after the other: what both load first is then loaded once
            thread.start()
            job = thread.submit("warm_up", None, [None], float("inf"))
            outcome = (await asyncio.wrap_future(job.done))[0]
            if isinstance(outcome, Refusal):  # a made-up row may be one that this model cannot answer
                self.log.write("warm_up_failed", code=outcome.code)
        self.is_ready = True
        seconds = round(time.monotonic() - self.started, 2)
        self.log.write("ready", seconds=seconds, open=self.address, answers=sorted(self.served.run))

    async def ask(self, request: Request, kind: str, options: Any, rows: list[Any]) -> list[Any]:
        """Outcomes of rows, one each.

        Raises:
            Refusal: The queue is full, the deadline passed, or the server is not ready.
            ClientGoneError: Nobody waits any more.
        """
        if not self.is_ready:
            raise Refusal(503, "not_ready", "the model is being warmed up; try again", retry_after=1)
        deadline: float = request.scope["plait.deadline"]
        request.scope["plait.told"] = {"kind": kind, "rows": len(rows)}
        thread = self._thread_of[kind]
        job = thread.submit(kind, options, rows, deadline)
        done = asyncio.wrap_future(job.done)
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait(
                {done, gone}, timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
            )
            if done.done():
                return done.result()
            if gone.done():
                raise ClientGoneError
            raise Refusal(504, "deadline", "the deadline passed before the answer was there", retry_after=1)
        finally:
            gone.cancel()
            if not done.done():
                thread.cancel(job)

    async def keep_sharing(self) -> None:
        """Write the counts where other workers read them, every second."""
        while self.metrics.is_shared:
            await asyncio.sleep(1)
            self.metrics.share()

    async def drain(self) -> None:
        """Finish what was taken and end the threads."""
        self.is_stopping = True
        closing = [asyncio.to_thread(thread.close, self.options.grace) for thread in self.threads]
        self.log.write("stopped", finished=all(await asyncio.gather(*closing)))
        self.metrics.share()


async def _gone(request: Request) -> None:
    """Returns when the client has closed the connection; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
