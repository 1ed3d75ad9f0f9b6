"""Columns of which only a part of the cells reads like paths or data of media: lost files, or two things in one column.

At least half of one kind, beside cells that are no sentences, is a column of that kind: what it holds besides cannot be
read and is reported by row. Less, or several kinds, is left to the rules for plain values, and said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait.data.column_kind import Sample
from plait.data.media import looks_like_image
from plait.data.sound import looks_like_sound

LOOKS: dict[str, Callable[[Any], bool]] = {"image": looks_like_image, "audio": looks_like_sound}
LEAST_MEDIA, LEAST_SAID = 0.5, 0.1  # shares of the values
MOST_WORDS = 3  # words in a cell that may be the place of a lost file


def partly_media(sample: Sample) -> tuple[str, str] | None:
    """The kind of a column of which at least half the values are of one kind of media, and why; None for others."""
    shares = {kind: sample.share(looks) for kind, looks in LOOKS.items()}
    kind = max(shares, key=lambda one: shares[one])
    if shares[kind] < LEAST_MEDIA or sum(shares.values()) - shares[kind] >= LEAST_SAID:
        return None
    others = [v for v in sample.values if not LOOKS[kind](v)]
    if any(isinstance(v, str) and len(v.split()) > MOST_WORDS for v in others):
        return None
    return kind, f"{_of(shares[kind])} read like paths or data of {kind}s; the others cannot be read as such"


def media_advice(sample: Sample, name: str) -> str | None:
    """What to type for a column of which some values read like media; None where hardly any do."""
    shares = {kind: share for kind, looks in LOOKS.items() if (share := sample.share(looks)) >= LEAST_SAID}
    if not shares:
        return None
    found = " and ".join(f"{_of(share)} read like paths or data of {kind}s" for kind, share in shares.items())
    return f"{found}; if it holds such, type {' or '.join(f'{kind}={name!r}' for kind in shares)}"


def _of(share: float) -> str:
    return f"{share:.0%} of its values"
