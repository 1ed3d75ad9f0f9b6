"""What Plait keeps on this machine: pretrained weights, the feature store, downloads; where, and how large."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from plait.files import cache_root, features_variable


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
    """Weights that lie in the cache (``name``, ``bytes``, ``damaged`` files), then named ones that do not (None).

    Damaged is what the receipt names and is not there, or a file of tensors that is shorter or longer than its header
    says; contents are compared when the weights are loaded.
    """
    from plait.weights import list_weights

    folder = cache_root() / "weights"
    here = sorted(p for p in folder.iterdir() if p.is_dir() and (p / "plait-source.json").is_file()) if (
        folder.is_dir()
    ) else []  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"name": p.name.replace("--", ":", 1).replace("--", "/"), "bytes": folder_size(p), "damaged": damaged_files(p)}
        for p in here
    ]
    absent = [entry["name"] for entry in list_weights() if not entry["present"]]
    return rows + [{"name": name, "bytes": None, "damaged": []} for name in absent]


def damaged_files(folder: Path) -> list[str]:
    """Files that a receipt names and that are not there or not whole."""
    try:
        named = json.loads((folder / "plait-source.json").read_text("utf-8")).get("files", {})
    except (OSError, ValueError, AttributeError):
        return ["plait-source.json"]
    return sorted(name for name in named if not _is_whole(folder / name))


def _is_whole(path: Path) -> bool:
    """Whether a file is there and, where it holds tensors, as long as its header says."""
    if path.suffix != ".safetensors":
        return path.is_file()
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
            size = path.stat().st_size
            if not 0 < header <= size - 8:
                return False
            entries = json.loads(file.read(header))
        ends = [one["data_offsets"][1] for name, one in entries.items() if name != "__metadata__"]
        return bool(size == 8 + header + max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def caches() -> list[dict[str, Any]]:
    """Folders that Plait and the hub write to: ``name``, ``path``, the ``variable`` that names it, ``bytes``, ``free``
    bytes there, ``writable``.
    """
    root = cache_root()
    named = os.environ.get("PLAIT_FEATURES")
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface", "hub")
    places = {
        "weights": root / "weights",
        "feature store": Path(named).expanduser() if named else root / "features",
        "downloaded wheels": root / "wheels",
        "Hugging Face hub": Path(hub).expanduser(),
    }
    variables = {"feature store": features_variable(), "Hugging Face hub": "HF_HOME"}
    return [
        {
            "name": name, "path": str(path), "variable": variables.get(name, "PLAIT_CACHE"),
            "bytes": folder_size(path) if path.is_dir() else 0, **_room(path),
        }
        for name, path in places.items()
    ]  # fmt: skip


def _room(path: Path) -> dict[str, Any]:
    """Free bytes of the disk, and whether the folder (or the nearest one above that is there) may be written to."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    return {"free": free, "writable": there.is_dir() and os.access(there, os.W_OK)}
