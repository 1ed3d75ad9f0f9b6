"""Named tables of records, the installed plug-ins that add to them, and words that messages share.

Nothing here imports more than the standard library; a plug-in is imported when a fit, a load or a list needs it.
"""

from __future__ import annotations

from plait.registry.late import late_names
from plait.registry.plugins import (
    GROUP,
    Origin,
    Plugin,
    has_plugins,
    installed_plugins,
    load_plugins,
    origin_of,
)
from plait.registry.table import Registry
from plait.registry.words import counted, first_line, one_line, unknown_name

__all__ = [
    "GROUP", "Origin", "Plugin", "Registry", "counted", "first_line", "has_plugins", "installed_plugins",
    "late_names", "load_plugins", "one_line", "origin_of", "unknown_name",
]  # fmt: skip
