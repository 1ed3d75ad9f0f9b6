"""Does an explanation of inputs find what decides? 100 rows with one planted word, region, span or column each.

Models from scratch learn tables in which one part of every row decides its class (``tests/fixtures/planted_parts.py``);
every case is a row that was not trained on. Counted: in how many the strongest part is the planted one, in how many
the model itself is right, and how many explanations fail a check.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from measure import ROOT, arguments, line, table

sys.path.insert(0, str(ROOT / "tests"))

from fixtures.planted_parts import PLANTED, found_first  # noqa: E402

WAYS = {"words": ("auto", "occlusion", "gradients"), "regions": ("occlusion", "gradients"),
        "spans": ("occlusion", "gradients"), "columns": ("auto", "occlusion")}  # fmt: skip


def main() -> None:
    """Print one row a kind and method."""
    every = {"--cases": "100", "--kinds": ",".join(WAYS), "--methods": "auto,occlusion,gradients"}
    given = arguments(__doc__ or "", data=None, seeds=1, options=every)
    cases = int(given.cases)
    table(["part", "method", "planted part first", "model right", "explanations that fail a check", "seconds"], [])
    for kind in str(given.kinds).split(","):
        for method in [m for m in WAYS[kind] if m in str(given.methods).split(",")]:
            started = time.monotonic()
            planted = PLANTED[kind](240 + 40 + 2 * cases)
            hits, right, found = found_first(planted, 240, cases, method=method)
            bad = f"{found['inputs']['untrusted']} of {found['inputs']['explanations']}"
            line([planted.name, method, f"{hits:.0%}", f"{right:.0%}", bad, f"{time.monotonic() - started:.0f}"])


if __name__ == "__main__":
    assert Path(__file__).parent == ROOT / "benchmarks"
    main()
