"""Installed plug-ins for the doctor: from metadata alone, or loaded in a process of its own, where one may fail."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from plait.data.checks.finding import Finding
from plait.registry import counted, installed_plugins

_ASK = """
import json, warnings
warnings.simplefilter("ignore")
from plait.api import list_plugins
print(json.dumps(list_plugins()))
"""


def plugins() -> list[dict[str, Any]]:
    """``package``, ``version``, ``plugin`` and ``target`` of each, without importing any."""
    return [
        {"package": p.package, "version": p.version, "plugin": p.name, "target": p.target} for p in installed_plugins()
    ]


def loaded(seconds: float = 120.0) -> list[dict[str, Any]]:
    """The same with what each ``brings`` and its ``error``, or one entry with the error of all of them."""
    if not installed_plugins():
        return []
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return [{**one, "brings": {}, "error": f"no answer after {seconds:.0f} s"} for one in plugins()]
    if done.returncode == 0:
        return list(json.loads(done.stdout.strip().splitlines()[-1]))
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    why = lines[-1] if lines else f"the process ended with code {done.returncode}"
    return [{**one, "brings": {}, "error": why} for one in plugins()]


def finding(found: list[dict[str, Any]]) -> Finding:
    """Whether plug-ins are here and work."""
    broken = [
        f"{one['package']} {one['version']}: {one['error']}; update it, or type pip uninstall {one['package']}"
        for one in found if one.get("error")
    ]  # fmt: skip
    if broken:
        return Finding("D010", "warning", "plug-ins", "; ".join(broken), [])
    shown = ", ".join(f"{one['package']} {one['version']}" for one in found)
    return Finding("D010", "ok", "plug-ins", f"{counted(len(found), 'plug-in')}: {shown}" if found else "none", [])
