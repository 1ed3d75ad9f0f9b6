"""Where the time of a piece of work goes, from imports to the written report, beside what this machine can do."""

from __future__ import annotations

from plait.api.profiling.result import Profile, profile

__all__ = ["Profile", "profile"]
