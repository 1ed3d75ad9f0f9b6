"""What a server counts, in the text format of Prometheus (version 0.0.4).

Written by hand: five counters, three gauges and four histograms need no package, no global registry and no thread.
Every line says which process it is of (label ``worker``). Several workers leave their counts in one folder, so that
any of them answers for all: its own as they stand, those of the others as of a second ago. Those of a worker that died
stay, for a sum over workers must not fall.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
Labels = tuple[tuple[str, str], ...]

COUNTERS = {
    "requests_total": "Requests answered, by route and status.",
    "rows_total": "Rows answered by the model, by kind of work.",
    "refused_total": "Requests refused before the model saw them, by reason.",
    "dropped_total": "Rows dropped from the queue before they cost work, by reason.",
    "batches_total": "Batches given to the model, by kind of work.",
}
HISTOGRAMS = {
    "request_seconds": ("Seconds from the arrival of a request to its answer, by route.", SECONDS),
    "queue_seconds": ("Seconds that work waited for the model.", SECONDS),
    "work_seconds": ("Seconds that the model took for one batch, by kind of work.", SECONDS),
    "batch_rows": ("Rows of one batch.", ROWS),
}


class Metrics:
    """Counters, histograms and gauges of one process; every method may be called from any thread.

    Args:
        shared: Folder where workers leave their counts for each other; None: this one is alone.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._lock = threading.Lock()
        self._counts: dict[str, dict[Labels, float]] = {name: defaultdict(float) for name in COUNTERS}
        self._buckets: dict[str, dict[Labels, list[int]]] = {name: {} for name in HISTOGRAMS}
        self._sums: dict[str, dict[Labels, float]] = {name: defaultdict(float) for name in HISTOGRAMS}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name][tuple(sorted(labels.items()))] += by

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        bounds, key = HISTOGRAMS[name][1], tuple(sorted(labels.items()))
        with self._lock:
            buckets = self._buckets[name].setdefault(key, [0] * (len(bounds) + 1))
            buckets[bisect.bisect_left(bounds, value)] += 1
            self._sums[name][key] += value

    def value(self, name: str, **labels: str) -> float:
        """What a counter stands at."""
        with self._lock:
            return self._counts[name].get(tuple(sorted(labels.items())), 0.0)

    @property
    def is_shared(self) -> bool:
        """Whether there are other workers."""
        return self._shared is not None

    def share(self) -> None:
        """Leave the counts where the other workers read them; a folder that is gone is no fault."""
        if self._shared is None:
            return
        own = self._shared / f"{os.getpid()}.json"
        with contextlib.suppress(OSError):
            made = own.with_suffix(".part")
            made.write_text(json.dumps(self._lines()), "utf-8")
            made.replace(own)

    def text(self) -> str:
        """Everything of every worker, as Prometheus reads it."""
        workers = [self._lines(), *self._of_others()]
        heads = {name: (told, "counter") for name, told in COUNTERS.items()}
        heads |= {name: (told, "histogram") for name, (told, _) in HISTOGRAMS.items()}
        heads |= {name: (told, "gauge") for name, (told, _) in self.gauges.items()}
        lines: list[str] = []
        for name, (told, kind) in heads.items():
            lines += [f"# HELP plait_{name} {told}", f"# TYPE plait_{name} {kind}"]
            lines += [line for worker in workers for line in worker.get(name, [])]
        return "\n".join(lines) + "\n"

    def _lines(self) -> dict[str, list[str]]:
        """The lines of this process, by metric."""
        lines: dict[str, list[str]] = {}
        worker = (("worker", str(os.getpid())),)
        with self._lock:
            for name in COUNTERS:
                lines[name] = [
                    f"plait_{name}{_shown(key + worker)} {v:g}" for key, v in sorted(self._counts[name].items())
                ]
            for name, (_, bounds) in HISTOGRAMS.items():
                made = lines.setdefault(name, [])
                for key, buckets in sorted(self._buckets[name].items()):
                    total = 0
                    for bound, number in zip([*map(str, bounds), "+Inf"], buckets, strict=True):
                        total += number
                        made.append(f"plait_{name}_bucket{_shown((*key, *worker, ('le', bound)))} {total}")
                    made.append(f"plait_{name}_sum{_shown(key + worker)} {self._sums[name][key]:.6f}")
                    made.append(f"plait_{name}_count{_shown(key + worker)} {total}")
        for name, (_, ask) in self.gauges.items():
            lines[name] = [f"plait_{name}{_shown(worker)} {ask():g}"]
        return lines

    def _of_others(self) -> list[dict[str, Any]]:
        """What the other workers left, without the gauges of those that are gone."""
        found = []
        for file in sorted(self._shared.glob("*.json")) if self._shared is not None else []:
            if file.stem == str(os.getpid()):
                continue
            with contextlib.suppress(OSError, ValueError):
                lines = json.loads(file.read_text("utf-8"))
                if not _is_alive(int(file.stem)):
                    lines = {name: of for name, of in lines.items() if name not in self.gauges}
                found.append(lines)
        return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there and somebody else's
        return True
    return True


def _shown(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels) + "}" if labels else ""
