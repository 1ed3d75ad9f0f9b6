"""What a trust report takes: seconds and size of the page of five tables, on a warm store.

A default model of each table is fitted, then ``evaluate(trust=True)`` makes the page of its test rows, which a careful
person reads before shipping. The store is warm: the fit encoded every row, so seconds are of judging alone. ``--pages``
names a folder in which the pages of both languages are left to be looked at. Seconds are of the wall, beside them those
of the processor.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import plait
from ensemble import TABLES
from measure import arguments, line, quiet, table

GOAL = "goal: under 120 s and 5 MB"


def matching(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Which caption belongs to which photo, of a COCO folder."""
    return folder / "flickr8k-2k", {"format": "coco", "task": "matching"}


SOURCES = {**{name: TABLES[name] for name in ("posts", "houses", "easy-vqa", "stamps")}, "flickr8k-2k": matching}


def judged(name: str, data: Path, pages: Path, preset: str) -> list[str]:
    """A line of the table: seconds and megabytes of the page, and what of it did not apply."""
    source, how = SOURCES[name](data)
    model = plait.fit(source, preset=preset, seed=0, progress=quiet, **how)
    opened = {"format": how["format"]} if "format" in how else {}
    evaluate = partial(model.evaluate, source, trust=True, progress=quiet, **opened)
    started, processor = time.monotonic(), time.process_time()
    report = evaluate(report=pages / f"{name}.html")
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    evaluate(report=pages / f"{name}.zh.html", lang="zh")
    parts = report["evaluation"]["trust"]
    without = sorted(n for n, p in parts.items() if isinstance(p, dict) and p.get("applicable") is False)
    megabytes = (pages / f"{name}.html").stat().st_size / 1e6
    rows = f"{report['evaluation']['rows']:,}"
    return [name, rows, f"{seconds:.0f}", f"{processor:.0f}", f"{megabytes:.2f}", ", ".join(without)]


def main() -> None:
    """Run and print."""
    options = {"--only": ",".join(SOURCES), "--pages": "", "--preset": "default"}
    given = arguments(__doc__ or "", data=".", seeds=1, options=options)
    with tempfile.TemporaryDirectory() as away:
        pages = Path(given.pages or away)
        pages.mkdir(parents=True, exist_ok=True)
        table(["table", "test rows", "seconds", "of processor time", "MB", "does not apply"], [])
        for name in given.only.split(","):
            line(judged(name, given.data, pages, given.preset))
    print(f"\n{GOAL}")


if __name__ == "__main__":
    main()
