"""Ready data sets by name, fetched from package indexes and written as one table and its files."""

from __future__ import annotations
