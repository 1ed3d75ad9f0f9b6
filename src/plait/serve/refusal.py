"""Why a request is not answered: one error with a status, a code that programs read and a sentence that people read."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):  # noqa: N818  (no error of the server's)
    """A request, or one row of it, that is refused.

    Attributes:
        status: Status of HTTP.
        code: One word that does not change between versions.
        message: What was given, what was expected and what to do.
        retry_after: Seconds after which to try again, or None.
        row: Row of the request that is meant, from 0, or None.
        column: Column that is meant, or None.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None, row: int | None = None,
        column: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.row, self.column = retry_after, row, column

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def to_json(self, request_id: str) -> dict[str, Any]:
        """The answer's body."""
        place = {name: value for name in ("row", "column") if (value := getattr(self, name)) is not None}
        return {"error": {"code": self.code, "message": self.message, **place}, "request_id": request_id}
