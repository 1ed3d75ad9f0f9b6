"""A package that one cell needs and that is not installed: said with the row, the column and what to type."""

from __future__ import annotations


class MissingPackageError(ImportError):
    """See the module.

    Args:
        row: Number of the row, from 0.
        column: Its column.
        reason: What needs the package.
        package: Its name.
    """

    def __init__(self, row: int, column: str, reason: str, package: str) -> None:
        reason = reason.partition(";")[0]
        super().__init__(f"row {row}, {column!r}: {reason}; type: pip install {package}", name=package)
        self.row, self.column, self.reason = row, column, reason

    def at(self, row: int) -> MissingPackageError:
        """The same of another number of the row."""
        return MissingPackageError(row, self.column, self.reason, str(self.name))
