"""What a server counts, in the text format of Prometheus (version 0.0.4).

Written by hand: five counters, three gauges and four histograms need no package, no global registry and no thread.
Counts are of one process; with several workers each answers for itself and says which it is (label ``worker``).
"""

from __future__ import annotations

import bisect
import os
import threading
from collections import defaultdict
from collections.abc import Callable

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
    """Counters, histograms and gauges of one process; every method may be called from any thread."""

    def __init__(self) -> None:
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

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        lines: list[str] = []
        worker = (("worker", str(os.getpid())),)
        with self._lock:
            for name, told in COUNTERS.items():
                lines += _head(name, told, "counter")
                lines += [f"plait_{name}{_shown(key + worker)} {v:g}" for key, v in sorted(self._counts[name].items())]
            for name, (told, bounds) in HISTOGRAMS.items():
                lines += _head(name, told, "histogram")
                for key, buckets in sorted(self._buckets[name].items()):
                    total = 0
                    for bound, number in zip([*map(str, bounds), "+Inf"], buckets, strict=True):
                        total += number
                        lines.append(f"plait_{name}_bucket{_shown((*key, *worker, ('le', bound)))} {total}")
                    lines.append(f"plait_{name}_sum{_shown(key + worker)} {self._sums[name][key]:.6f}")
                    lines.append(f"plait_{name}_count{_shown(key + worker)} {total}")
        for name, (told, ask) in self.gauges.items():
            lines += [*_head(name, told, "gauge"), f"plait_{name}{_shown(worker)} {ask():g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, told: str, kind: str) -> list[str]:
    return [f"# HELP plait_{name} {told}", f"# TYPE plait_{name} {kind}"]


def _shown(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels) + "}" if labels else ""
