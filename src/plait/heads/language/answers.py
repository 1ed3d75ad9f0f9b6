"""A list of allowed answers as a tree of tokens, to keep generation within the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Trie:
    """Which token may follow what was written so far.

    Args:
        answers: Token ids of each allowed answer, the end token last.
        end: The end token, all that is allowed once an answer is complete.

    Raises:
        ValueError: No answers, or an answer without its end (it is longer than the model may write).

    Reference: De Cao, Izacard, Riedel, Petroni 2021 (generation constrained by a prefix tree).
    """

    def __init__(self, answers: Sequence[Sequence[int]], end: int) -> None:
        if not answers:
            raise ValueError("the list of allowed answers is empty; give at least one answer")
        self.end = end
        self.root: dict[int, Any] = {}
        for ids in answers:
            if not ids or ids[-1] != end:
                raise ValueError(
                    "an allowed answer is longer than the longest that this model writes; leave it out, or train with "
                    "a larger set=['language.max_tokens=...']"
                )
            node = self.root
            for token in ids:
                node = node.setdefault(int(token), {})

    def allowed(self, written: Sequence[int]) -> list[int]:
        """Tokens that may come next."""
        node = self.root
        for token in written:
            if token not in node:
                return [self.end]
            node = node[token]
        return list(node) or [self.end]
