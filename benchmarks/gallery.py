"""The pictures of docs/gallery.md: pages that the tutorials write, rendered with Chromium, cut and made small.

    python benchmarks/tutorials.py sentiment house-prices photo-search own-fusion   # the runs, in build/tutorials
    python benchmarks/tutorials.py --pictures                                       # then the pictures
    make site; python benchmarks/gallery.py --widths                # the same pages on a desk, a tablet and a phone

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

WIDTHS = (1400, 820, 390)  # pixels: a desk, a tablet, a phone
PAGES = {  # by picture: a page, and where it begins (a selector; None: the top)
    "widths-start": ("site/index.html", None),
    "widths-guide": ("site/kinds-of-columns.html", None),
    "widths-notebook": ("site/tutorials/first-steps.html", "#fit"),
    "widths-report": ("tutorials/sentiment/model/report.html", None),
}
HIGH, GAP, SHOWN = 1000, 40, 0.55  # pixels of a page, between two, and the share at which they are kept


def render_widths(built: Path) -> None:
    """Render pages at three widths, side by side."""
    from fixtures.browser import Browser

    for name, (page, start) in PAGES.items():
        place = built / page
        if not place.exists():
            print(f"{name}: no {place}; make it first")
            continue
        whole = Image.new("RGB", (sum(WIDTHS) + GAP * (len(WIDTHS) - 1), HIGH), "#d0d0d8")
        left = 0
        for width in WIDTHS:
            browser = Browser((width, HIGH))
            try:
                browser.open(place.resolve().as_uri())
                over = browser.run("return document.documentElement.scrollWidth - innerWidth")
                top = 0
                if start is not None:
                    top = browser.run(f"return document.querySelector('{start}').getBoundingClientRect().top + scrollY")
                with tempfile.TemporaryDirectory() as folder:
                    shot = Image.open(browser.picture(Path(folder) / "page.png")).convert("RGB")
            finally:
                browser.close()
            assert over <= 0, f"{page} is {over} pixels wider than a screen of {width}"
            whole.paste(shot.crop((0, int(top), width, int(top) + HIGH)), (left, 0))
            left += width + GAP
        made = PICTURES / f"{name}.webp"
        whole.resize((int(whole.width * SHOWN), int(HIGH * SHOWN)), Image.Resampling.LANCZOS).save(made, quality=70)
        size = made.stat().st_size
        print(f"{made.relative_to(ROOT)}: {size / 1000:.0f} KB; nothing runs out of a page")
        assert size < MOST, f"{made.name} takes {size} bytes"


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
    if "--widths" in sys.argv:
        render_widths(ROOT / "build")
    else:
        render(ROOT / "build" / "tutorials")
