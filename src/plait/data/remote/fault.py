"""Why an object could not be fetched."""

from __future__ import annotations


class NotFetchedError(Exception):
    """An object could not be fetched; the text says why and repeats no address.

    Attributes:
        code: "not_allowed" (an address that is never asked), "not_public", "not_fetched", "too_large" or "too_slow".
        is_passing: Whether it may be otherwise in a moment: the host cannot be reached, is busy or too slow.
    """

    def __init__(self, code: str, why: str, *, is_passing: bool = False) -> None:
        super().__init__(why)
        self.code, self.is_passing = code, is_passing
