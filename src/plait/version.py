"""The version of this package, read by everything that records it."""

from __future__ import annotations

__version__ = "0.1.0"
