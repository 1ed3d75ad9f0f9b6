"""``plait doctor``: this installation in facts and coded findings, each with what to type; also when PyTorch is broken.

Versions come from metadata, devices from the system; PyTorch is imported only when asked, in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plait import __version__
from plait.api.installation import devices, packages, plugins, stored
from plait.data.checks.finding import Finding
from plait.registry import counted, first_line

SPARE = 2 * 10**9  # bytes that a run may well write: features of a hundred thousand pictures and a model
SMALL_MEMORY = 4 * 10**9


def doctor(*, load: bool = False) -> dict[str, Any]:
    """Look at this installation.

    Args:
        load: Also import PyTorch, torchvision and plug-ins, in processes of their own, which takes some seconds.

    Returns:
        ``plait`` (version, folder), ``machine``, ``devices``, ``torch`` (build), ``loaded`` (None: not asked),
        ``dependencies``, ``extras``, ``weights``, ``caches``, ``plugins``, and ``findings``: ``code`` (D001 to D010),
        ``severity`` (error, warning, info, ok, n/a), ``title``, ``detail`` with what to type.
    """
    facts: dict[str, Any] = {
        "plait": {"version": __version__, "folder": str(Path(__file__).resolve().parents[2])},
        "machine": devices.machine(), "devices": devices.accelerators(), "torch": devices.torch_build(),
        "loaded": devices.load() if load else None,
    }  # fmt: skip
    readers = {
        "dependencies": packages.dependencies, "extras": packages.extras,
        "weights": stored.weights, "caches": stored.caches, "plugins": plugins.loaded if load else plugins.plugins,
    }  # fmt: skip
    unread = {}
    for name, read in readers.items():
        try:
            facts[name] = read()
        except Exception as error:  # a broken package breaks one part of this answer, which says so
            facts[name], unread[name] = [], first_line(error)
    found = [_python(), _itself(), _required(), _together(), _loads(facts), _device(facts)]
    found += [_weights(facts), _caches(facts), _unread(unread)]
    found.append(plugins.finding(facts["plugins"]))
    keys = ("code", "severity", "title", "detail")
    return {**facts, "findings": [{key: getattr(f, key) for key in keys} for f in found]}


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 14):
        return Finding("D001", "info", "Python", f"{version}; Plait is tested with 3.11 to 3.13", [])
    return Finding("D001", "ok", "Python", version, [])


def _itself() -> Finding:
    version, title = packages.installed_version("plait"), "Plait"
    if version is None:
        detail = "runs from a folder, not installed: its dependencies cannot be checked; type pip install ."
        return Finding("D002", "warning", title, detail, [])
    if version != __version__:
        detail = f"version {__version__} runs, the metadata says {version}; type pip install -U . in the folder"
        return Finding("D002", "warning", title, detail, [])
    return Finding("D002", "ok", title, version, [])


def _checked(code: str, title: str, fine: str, rows: Iterator[tuple[str, str]]) -> Finding:
    try:
        wrong = list(rows)
    except ImportError as error:
        return Finding(code, "error", title, f"{first_line(error)}; type pip install packaging", [])
    return Finding(code, "error" if wrong else "ok", title, packages.in_words(wrong, fine), [])


def _required() -> Finding:
    return _checked("D003", "dependencies", "all there", packages.missing_dependencies())


def _together() -> Finding:
    return _checked("D004", "versions that fit", "all fit", packages.conflicts())


def _loads(facts: dict[str, Any]) -> Finding:
    title, loaded = "PyTorch loads", facts["loaded"]
    if not facts["torch"]:
        return Finding("D005", "error", title, "PyTorch is not here; type pip install torch torchvision", [])
    if loaded is None:
        return Finding("D005", "n/a", title, "not tried; load=True tries it", [])
    if "error" in loaded:
        detail = f"{loaded['error']}; type pip uninstall torch torchvision, then pip install torch torchvision"
        return Finding("D005", "error", title, detail, [])
    return Finding("D005", "ok", title, f"torch {loaded['torch']}, torchvision {loaded['torchvision']}", [])


def _device(facts: dict[str, Any]) -> Finding:
    title, shown, build, loaded = "accelerator", facts["devices"], facts["torch"], facts["loaded"]
    kinds = {device["kind"] for device in shown}
    if loaded and "error" not in loaded and kinds & {"cuda", "rocm"} and not loaded["cuda"]:
        detail = "the system shows a GPU and PyTorch sees none: its driver is older than PyTorch asks, or it is hidden "
        return Finding("D006", "warning", title, detail + "(CUDA_VISIBLE_DEVICES); type nvidia-smi", [])
    if build and (("cuda" in kinds and not build.get("cuda")) or ("rocm" in kinds and not build.get("hip"))):
        detail = f"a GPU is here, but torch {build.get('version')} is built for the CPU alone; take the line for your "
        return Finding("D006", "warning", title, detail + "GPU from the selector on PyTorch's site", [])
    if not shown:
        return Finding("D006", "ok", title, "none; Plait runs on the CPU", [])
    return Finding("D006", "ok", title, ", ".join(device["name"] for device in shown), [])


def _weights(facts: dict[str, Any]) -> Finding:
    here = [row for row in facts["weights"] if row["bytes"] is not None]
    broken = [
        f"{row['name']}: {', '.join(row['damaged'])}; type plait weights fetch {row['name']}"
        for row in here if row["damaged"]
    ]  # fmt: skip
    if broken:
        return Finding("D007", "error", "pretrained weights", f"damaged: {'; '.join(broken)}", [])
    if here:
        return Finding("D007", "ok", "pretrained weights", counted(len(here), "set") + " here", [])
    detail = "none here; type plait weights fetch (the two of plait fit)"
    return Finding("D007", "info", "pretrained weights", detail, [])


def _caches(facts: dict[str, Any]) -> Finding:
    title, wrong = "disk and memory", []
    for cache in facts["caches"]:
        if not cache["writable"]:
            wrong.append(f"{cache['path']} cannot be written to; name another folder with {cache['variable']}=FOLDER")
        elif cache["free"] is not None and cache["free"] < SPARE:
            wrong.append(
                f"{cache['free'] / 1e9:.1f} GB are free at {cache['path']}; make room, or type plait features gc"
            )
    memory = facts["machine"]["memory"]
    if memory is not None and memory < SMALL_MEMORY:
        wrong.append(f"{memory / 1e9:.1f} GB of memory; take small encoders and set=['train.batch_size=16']")
    return Finding("D008", "warning" if wrong else "ok", title, "; ".join(dict.fromkeys(wrong)) or "enough", [])


def _unread(unread: dict[str, str]) -> Finding:
    if not unread:
        return Finding("D009", "ok", "all parts were read", "yes", [])
    detail = "; ".join(f"{name}: {reason}" for name, reason in unread.items())
    return Finding("D009", "error", "all parts were read", f"not {detail}; type pip install -U plait", [])
