"""Text to hashed word pieces: a processor without any file, for the ``scratch:text`` encoder.

In: a list of strings. Out: ``input_ids`` and ``attention_mask`` [B, T]. Words are lowered and cut into
pieces of five letters; Chinese, Japanese and Korean letters stand alone; each piece is hashed into a
bucket. Id 0 is padding, id 1 opens every text.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.processors.cleaning import clean_texts, cleaning_of
from plait.processors.description import check_texts, settings_sha256, write_settings

if TYPE_CHECKING:
    from torch import Tensor

PIECE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\w\s]")
PIECE_LENGTH = 5
NUM_RESERVED = 2


class HashedTextProcessor:
    """Hashed word pieces with a length limit.

    Args:
        num_buckets: Ids to hash into, the two reserved ones included.
        max_length: Most ids of a text.
        cleaning: What is done to a text first: a name of `plait.processors.cleaning.CLEANINGS`.

    Attributes:
        num_truncated: How many texts were cut since the processor was made.

    Example:
        >>> HashedTextProcessor().process(["red car", "red"])["attention_mask"].tolist()
        [[1, 1, 1], [1, 1, 0]]
    """

    kind = "text"

    def __init__(self, num_buckets: int = 20_000, max_length: int = 128, cleaning: str = "none") -> None:
        if num_buckets <= NUM_RESERVED or max_length < 2:
            raise ValueError(f"expected num_buckets > 2 and max_length >= 2, got {num_buckets} and {max_length}")
        self.num_buckets = num_buckets
        self.max_length = max_length
        self.cleaning = cleaning
        self.num_truncated = 0

    def process(self, texts: list[str]) -> dict[str, Tensor]:
        """Hash texts to ids, int64 [B, T].

        The position of a value that is not a string is named in a ValueError.
        """
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(texts))

    def arrays(self, texts: list[str]) -> dict[str, np.ndarray]:
        """The same as arrays."""
        check_texts(texts)
        texts, _ = clean_texts(texts, self.cleaning)
        rows = [[1, *(_bucket(piece, self.num_buckets) for piece in word_pieces(text))] for text in texts]
        self.num_truncated += sum(len(row) > self.max_length for row in rows)
        rows = [row[: self.max_length] for row in rows]
        ids = np.zeros((len(rows), max((len(row) for row in rows), default=1)), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
        return {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        facts = {"type": "hashed-text", "num_buckets": self.num_buckets, "max_length": self.max_length}
        return facts | ({} if self.cleaning == "none" else {"cleaning": self.cleaning})

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> HashedTextProcessor:
        """Rebuild from ``to_json``."""
        return cls(int(description["num_buckets"]), int(description["max_length"]), cleaning_of(description))

    @property
    def fingerprint(self) -> str:
        """Hash of the settings."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)


def word_pieces(text: str) -> list[str]:
    """Cut a text into pieces; a piece that continues a word opens with ``##``.

    Example:
        >>> word_pieces("Unbelievable!")
        ['unbel', '##ievab', '##le', '!']
    """
    pieces = []
    for word in PIECE.findall(unicodedata.normalize("NFKC", text).lower()):
        parts = [word[start : start + PIECE_LENGTH] for start in range(0, len(word), PIECE_LENGTH)]
        pieces += [parts[0], *("##" + part for part in parts[1:])]
    return pieces


@lru_cache(maxsize=100_000)
def _bucket(piece: str, num_buckets: int) -> int:
    digest = hashlib.blake2b(piece.encode("utf-8", "replace"), digest_size=8).digest()
    return NUM_RESERVED + int.from_bytes(digest, "big") % (num_buckets - NUM_RESERVED)
