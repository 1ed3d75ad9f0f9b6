"""Fusions, encoders, tasks and metrics of others: registering them, listing them, and naming them in model folders.

Installed packages are found and loaded in ``plait.registry.plugins``; what they call is here.
"""

from __future__ import annotations

from plait.api.plugins.listing import list_plugins
from plait.api.plugins.register import register_encoder, register_fusion, register_metric, register_task

__all__ = ["list_plugins", "register_encoder", "register_fusion", "register_metric", "register_task"]
