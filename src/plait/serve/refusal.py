"""Why a request is not answered: one error with a status, a code that programs read and a sentence that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

TWO_LENGTHS = (
    "the request has both Content-Length and Transfer-Encoding, so where it ends cannot be told; send one of them. The "
    "connection is closed"
)


class Refusal(Exception):  # noqa: N818  (no error of the server's)
    """A request, or one row of it, that is refused.

    Attributes:
        status: Status of HTTP.
        code: One word that does not change between versions.
        message: What was given, what was expected and what to do.
        retry_after: Seconds after which to try again, or None.
        row: Row of the request that is meant, from 0, or None.
        column: Column that is meant, or None.
        paths: Methods and paths that there are, where one was asked for that is not.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None, row: int | None = None,
        column: str | None = None, paths: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.row, self.column, self.paths = retry_after, row, column, list(paths)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def to_json(self, request_id: str) -> dict[str, Any]:
        """The answer's body."""
        place: dict[str, Any] = {k: v for k in ("row", "column") if (v := getattr(self, k)) is not None}
        place |= {"paths": self.paths} if self.paths else {}
        return {"error": {"code": self.code, "message": self.message, **place}, "request_id": request_id}


def has_two_lengths(names: Iterable[str | bytes]) -> bool:
    """Whether headers of these names, in small letters, say in two ways where a request ends."""
    found = {name.decode("latin-1") if isinstance(name, bytes) else name for name in names}
    return {"content-length", "transfer-encoding"} <= found
