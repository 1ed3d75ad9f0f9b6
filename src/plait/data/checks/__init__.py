"""The data doctor: what is wrong with a table before anything is trained, as coded findings."""

from __future__ import annotations
