"""Keys of the feature store in memory: bytes a key and look-ups, beside a plain dictionary of the same keys.

A space of ``--keys`` items in segments of ``--segment`` is written by another process, with vectors of one number.
Beside the index of an open space stands what is simplest, a dictionary from 32 bytes to the name of a segment and a
row, filled from the same segments. Printed are the bytes that each holds a key (as ``tracemalloc`` counts them), the
seconds to fill it, and look-ups of ``--asked`` keys at once, half of which are not there, and one by one, in turns;
ratios are medians over ``--repeats``, with ranges.

Run: OMP_NUM_THREADS=1 python benchmarks/keys_in_memory.py [--keys 2e6] [--segment 1e5] [--asked 1e5] [--repeats 5]
"""

from __future__ import annotations

import hashlib
import multiprocessing
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from measure import arguments, table
from plait.inputs.feature_store import FeatureStore
from plait.inputs.feature_store.space import Space, key_bytes, key_rows

ONE_BY_ONE = 2000


def seconds(work: Callable[[], Any]) -> float:
    """Processor seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def dictionary(space: Space) -> dict[bytes, tuple[str, int]]:
    """Every key of a space with its segment and row."""
    made: dict[bytes, tuple[str, int]] = {}
    for name, segment in space._index.segments().items():
        for row, key in enumerate(segment.key_list()):
            made.setdefault(key, (name, row))
    return made


def names(numbers: Iterable[int]) -> list[str]:
    """Keys that stand for numbers."""
    return [hashlib.sha256(int(number).to_bytes(8, "little")).hexdigest() for number in numbers]


def write(folder: str, count: int, size: int) -> None:
    """Write a space."""
    space = FeatureStore(folder).space("f", {})
    for start in range(0, count, size):
        keys = names(range(start, min(count, start + size)))
        space.put(keys, np.zeros((len(keys), 1), dtype=np.float32))


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=None,
        options={"--keys": "2e6", "--segment": "1e5", "--asked": "1e5", "--repeats": "5"},
    )  # fmt: skip
    count, size, asked = (int(float(value)) for value in (given.keys, given.segment, given.asked))
    rng = np.random.default_rng(0)

    with tempfile.TemporaryDirectory() as folder:
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder, count, size))
        writer.start()
        writer.join()
        chosen = [*rng.choice(count, asked // 2, replace=False), *range(count, count + asked // 2)]
        wanted = names(rng.permutation(chosen))
        taken = {}
        for kind in ("index", "dictionary"):
            tracemalloc.start()
            opened = FeatureStore(folder).space("f", {})
            opened.refresh()
            without = tracemalloc.get_traced_memory()[0]
            held = None if kind == "index" else dictionary(opened)
            taken[kind] = (tracemalloc.get_traced_memory()[0] - (without if held else 0)) / count
            tracemalloc.stop()
            del opened, held
        space = FeatureStore(folder).space("f", {})
        filling = {"index": seconds(space.refresh)}
        began = time.process_time()
        plain = dictionary(space)
        filling["dictionary"] = time.process_time() - began
        raw, few = [key_bytes(key) for key in wanted], wanted[:ONE_BY_ONE]
        found = space._index.find(key_rows(wanted))
        assert [row >= 0 for row in found.tolist()] == [key in plain for key in raw]
        took: dict[tuple[str, str], list[float]] = {}
        ways = {
            ("index", "at once"): lambda: space._index.find(key_rows(wanted)),
            ("dictionary", "at once"): lambda: [plain.get(key_bytes(key)) for key in wanted],
            ("index", "one by one"): lambda: [key_bytes(key) in space for key in few],
            ("dictionary", "one by one"): lambda: [key_bytes(key) in plain for key in few],
        }
        for _ in range(int(given.repeats)):
            for way, work in ways.items():
                took.setdefault(way, []).append(seconds(work) / (asked if way[1] == "at once" else len(few)) * 1e6)
    body = []
    for kind in ("index", "dictionary"):
        row = [kind, f"{taken[kind]:.1f}", f"{filling[kind]:.2f}"]
        for how in ("at once", "one by one"):
            ratios = [a / b for a, b in zip(took[kind, how], took["dictionary", how], strict=True)]
            shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            row += [f"{statistics.median(took[kind, how]):.2f}", shown if kind == "index" else "1"]
        body.append(row)
    print(f"{count:,} keys in segments of {size:,}\n")
    table(
        ["kept in", "bytes a key", "seconds to fill", f"microseconds a key, {asked:,} at once", "of the dictionary",
         "microseconds a key, one by one", "of the dictionary"],
        body,
    )  # fmt: skip


if __name__ == "__main__":
    main()
