"""Hits and duplicates as a page: one self-contained HTML file with small pictures, nothing loaded, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plait.data.media import CellError, read_media
from plait.data.picture import decode_image
from plait.index.duplicates import DuplicateGroup
from plait.index.hit import Hit, missing_note
from plait.inference.vector_space import CORRECTED, COSINE
from plait.registry import counted
from plait.report.languages import ENGLISH, spoken, tr
from plait.report.page import document
from plait.report.template import fill
from plait.report.thumbnail import SIDE, thumbnail

MAX_GROUPS = 200
MAX_SHOWN = 24  # items shown of one group
TEMPLATE = "index/page.html.jinja"
_STYLE = """
.query{display:flex;flex-wrap:wrap;gap:20px;align-items:center}
.query img{display:block;max-height:168px;max-width:min(100%,260px);border-radius:8px;background:var(--track)}
.query p{margin:0;font-size:1.25rem;font-weight:600;max-width:46ch}
.hit-head{display:flex;justify-content:space-between;gap:10px;font-size:.86rem;color:var(--soft);
font-variant-numeric:tabular-nums} .hit-head b{color:var(--ink);font-weight:640}
.meter{height:4px;border-radius:2px;background:var(--track)} .meter i{display:block;height:100%;border-radius:2px;
background:var(--a)}
.example .id{font-size:.84rem;color:var(--soft);white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.example dl{font-size:.84rem}
.nothing{display:grid;place-items:center;height:168px;background:var(--track);border-radius:6px;color:var(--soft);
font-size:.86rem}
"""


def hits_page(
    hits: Sequence[Hit],
    *,
    text: str | None = None,
    image: Any = None,
    where: str | None = None,
    weight: float | None = None,
    items: int | None = None,
    index: str = "",
    measure: str = COSINE,
    shows_pictures: bool = True,
    lang: str = ENGLISH,
) -> str:
    """The HTML of a search.

    Args:
        hits: What was found, best first.
        text: The query's text.
        image: The query's picture, a path or bytes.
        where: The filter.
        weight: The share of the text, where both were given.
        items: How many items the index holds.
        index: Its name.
        measure: What the scores are.
        shows_pictures: Whether the hits are files of pictures.
        lang: Language of the page, one of ``plait.report.languages.LANGUAGES``.
    """
    with spoken(lang):
        return _hits(hits, text, image, where, weight, items, index, measure, shows_pictures)


def _hits(
    hits: Sequence[Hit], text: str | None, image: Any, where: str | None, weight: float | None, items: int | None,
    index: str, measure: str, shows_pictures: bool,
) -> str:  # fmt: skip
    main = fill(
        TEMPLATE, "hits", missing=missing_note(hits, index or "INDEX"), text=text,
        picture=None if image is None else _picture(image, tr("the picture of the query")),
        meaning=_meaning(measure), cards=[_card(hit, shows_pictures) for hit in hits],
    )  # fmt: skip
    about = [
        tr(counted(len(hits), "hit") + (f" of {counted(items, 'item')}" if items is not None else "")),
        index or None,
        tr(f"where {where}", "search") if where else None,
        tr(f"text {weight:g}, picture {1 - weight:g}") if weight is not None and text and image is not None else None,
    ]
    return document("Search", about, main, "Written by Plait.", style=_STYLE)


def duplicates_page(
    groups: Sequence[DuplicateGroup], items: Mapping[str, Hit], threshold: float, index: str, *,
    shows_pictures: bool = True, lang: str = ENGLISH,
) -> str:  # fmt: skip
    """The HTML of near duplicates.

    Args:
        groups: What was found, largest first.
        items: Id -> the item, for all ids in the groups.
        threshold: The cosine asked for.
        index: The name of the index.
        shows_pictures: Whether the items are files of pictures.
        lang: As for :func:`hits_page`.
    """
    with spoken(lang):
        return _duplicates(groups, items, threshold, index, shows_pictures)


def _duplicates(
    groups: Sequence[DuplicateGroup], items: Mapping[str, Hit], threshold: float, index: str, shows_pictures: bool
) -> str:
    shown = [
        (
            "equal byte by byte" if group.contents == 1 else f"lowest cosine found {group.lowest:.3f}",
            [(name, items[name].text(), _picture_of(items[name], shows_pictures)) for name in group.ids[:MAX_SHOWN]],
            len(group.ids),
        )
        for group in groups[:MAX_GROUPS]
    ]
    missing = missing_note(list(items.values()), index)
    main = fill(TEMPLATE, "duplicates", missing=missing, groups=shown, more=len(groups) - MAX_GROUPS)
    count = sum(len(group.ids) for group in groups)
    about = [
        tr(f"{counted(len(groups), 'group')}, {counted(count, 'item')}"), tr(f"cosine {threshold:g} or more"), index,
    ]  # fmt: skip
    return document("Near duplicates", about, main, "Written by Plait.", style=_STYLE)


def _card(hit: Hit, shows_pictures: bool) -> dict[str, Any]:
    """What the card of a hit shows."""
    text = hit.text()
    facts = {
        name: _joined(value)
        for name, value in hit.metadata.items()
        if _joined(value) not in (text, hit.id) and not (isinstance(value, list) and text in value)
    }
    width = max(0.0, min(1.0, hit.score)) * 100
    return {"hit": hit, "text": text, "facts": facts, "width": width, "picture": _picture_of(hit, shows_pictures)}


def _meaning(measure: str) -> str:
    """What the scores are, as a sentence."""
    corrected = "less for items that are near to every query, more for those that are near to few"
    known = {
        COSINE: "Best first, by the cosine of query and item.",
        CORRECTED: f"Best first, by the cosine of query and item, {corrected}.",
    }
    return known.get(measure, "Best first, by the weighted mean of how near text and picture are.")


def _joined(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _picture_of(hit: Hit, shows_pictures: bool) -> tuple[str, str] | None:
    return _picture(Path(hit.path), hit.path) if shows_pictures and hit.path is not None else None


def _picture(cell: Any, name: str) -> tuple[str, str]:
    """The picture small, as base64 JPEG ("" when it cannot be read any more), and its name."""
    try:
        data = read_media(Path(cell) if isinstance(cell, str) else cell, None)
        return thumbnail(decode_image(data, least_side=SIDE)), name
    except (CellError, ValueError):
        return "", name
