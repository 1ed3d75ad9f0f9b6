"""The kinds of column that Plait knows, one file each; columns are offered to them in this order."""

from __future__ import annotations

from plait.data.column_kind import COLUMN_KINDS
from plait.data.kinds.audio import AUDIO
from plait.data.kinds.date import DATE
from plait.data.kinds.image import IMAGE
from plait.data.kinds.image_set import IMAGE_SET
from plait.data.kinds.tabular import CATEGORICAL, NUMERIC
from plait.data.kinds.text import TEXT
from plait.data.kinds.vector import VECTOR

__all__ = ["COLUMN_KINDS"]

COLUMN_KINDS.add("text", TEXT)
COLUMN_KINDS.add("image", IMAGE)
COLUMN_KINDS.add("audio", AUDIO)
COLUMN_KINDS.add("image_set", IMAGE_SET)
COLUMN_KINDS.add("vector", VECTOR)
COLUMN_KINDS.add("numeric", NUMERIC)
COLUMN_KINDS.add("date", DATE)
COLUMN_KINDS.add("categorical", CATEGORICAL)
