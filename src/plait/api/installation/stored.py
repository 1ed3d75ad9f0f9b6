"""What Plait keeps on this machine: pretrained weights, the feature store, downloads; where, and how large."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from plait.files import cache_root


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder; of links only those to folders at its first level are followed."""
    total = 0
    for parent, folders, names in os.walk(folder.resolve()):
        if Path(parent) == folder.resolve():
            total += sum(folder_size(Path(parent) / n) for n in folders if (Path(parent) / n).is_symlink())
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total


def weights() -> list[dict[str, Any]]:
    """Weights that lie in the cache (``name``, ``bytes``), then named ones that do not (``bytes`` None)."""
    from plait.weights import list_weights

    folder = cache_root() / "weights"
    here = sorted(p for p in folder.iterdir() if p.is_dir() and (p / "plait-source.json").is_file()) if (
        folder.is_dir()
    ) else []  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"name": p.name.replace("--", ":", 1).replace("--", "/"), "bytes": folder_size(p)} for p in here
    ]
    absent = [entry["name"] for entry in list_weights() if not entry["present"]]
    return rows + [{"name": name, "bytes": None} for name in absent]


def caches() -> list[dict[str, Any]]:
    """Folders that Plait and the hub write to: ``name``, ``path``, ``bytes``, ``free`` bytes there, ``writable``."""
    root = cache_root()
    named = os.environ.get("PLAIT_FEATURES")
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface", "hub")
    places = {
        "weights": root / "weights",
        "feature store": Path(named).expanduser() if named else root / "features",
        "downloaded wheels": root / "wheels",
        "Hugging Face hub": Path(hub).expanduser(),
    }
    return [
        {"name": name, "path": str(path), "bytes": folder_size(path) if path.is_dir() else 0, **_room(path)}
        for name, path in places.items()
    ]


def _room(path: Path) -> dict[str, Any]:
    """Free bytes of the disk, and whether the folder (or the nearest one above that is there) may be written to."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    return {"free": free, "writable": os.access(there, os.W_OK)}
