"""The pictures of docs/gallery.md: pages that the tutorials write, rendered with Chromium, cut and made small.

    python benchmarks/tutorials.py sentiment house-prices photo-search own-fusion   # the runs, in build/tutorials
    python benchmarks/tutorials.py --pictures                                       # then the pictures

Needs Chromium, its driver and httpx (extra dev). Colours are cut to 64, so that a picture stays below 150 KB.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
PICTURES = ROOT / "docs" / "pictures"
MOST = 150_000  # bytes of a picture


@dataclass(frozen=True)
class Shot:
    """A picture of a page: which, of what width, from where (a selector; None: the top) and how high."""

    name: str
    page: str
    width: int = 1100
    start: str | None = None
    height: int = 900


SHOTS = (
    Shot("report", "sentiment/model/report.html"),
    Shot("shares", "house-prices/why.html", start="#shares", height=760),
    Shot("inside", "visual-questions/why.html", start="#inputs"),
    Shot("hits", "photo-search/hits.html", height=660),
    Shot("suggested", "few-labels/page.html", height=680),
)


def render(runs: Path) -> None:
    """Render every picture whose page was made."""
    from fixtures.browser import Browser, is_there

    if not is_there():
        raise SystemExit("chromium and chromedriver are not installed")
    PICTURES.mkdir(exist_ok=True)
    for shot in SHOTS:
        page = runs / shot.page
        if not page.exists():
            print(f"{shot.name}: no {page}; run the tutorial first")
            continue
        browser = Browser((shot.width, shot.height))
        try:
            browser.open(page.resolve().as_uri())
            top = 0
            if shot.start is not None:
                place = f"document.querySelector('{shot.start}').getBoundingClientRect()"
                top = browser.run(f"return {place}.top + scrollY")
            with tempfile.TemporaryDirectory() as folder:
                whole = Image.open(browser.picture(Path(folder) / "whole.png")).convert("RGB")
        finally:
            browser.close()
        cut = whole.crop((0, int(top), whole.width, min(whole.height, int(top) + shot.height)))
        made = PICTURES / f"{shot.name}.png"
        cut.quantize(64, dither=Image.Dither.NONE).save(made, optimize=True)
        size = made.stat().st_size
        print(f"{made.relative_to(ROOT)}: {cut.width} x {cut.height}, {size / 1000:.0f} KB")
        assert size < MOST, f"{made.name} takes {size} bytes"


if __name__ == "__main__":
    render(ROOT / "build" / "tutorials")
