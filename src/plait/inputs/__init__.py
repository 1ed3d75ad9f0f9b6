"""A table through processors and frozen encoders to batches."""

from __future__ import annotations
