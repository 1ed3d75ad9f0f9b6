"""Cells that are addresses of objects (``s3://``, ``gs://``, ``hf://``, ``https://``), fetched where it is allowed.

:mod:`address` tells them and hides what is secret in them, :mod:`web` and :mod:`buckets` fetch one, :mod:`store` keeps
contents under their sha256, :mod:`objects` brings those of a table, several at once, :mod:`columns` those of columns.
"""

from __future__ import annotations
