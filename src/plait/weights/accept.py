"""A published weight file, checked against its hash and laid into a folder of the cache.

In: the path of a file that some source gave. Out: a folder with ``model.safetensors`` and the small files
beside it, and a receipt with the hash of what was published and of what was stored. The record of a name
says how its file is converted; a file without a record may be safetensors or a ``.pth`` of tensors only.
Nothing that came with the file is ever run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plait.files import file_sha256
from plait.weights.folders import module_folders
from plait.weights.records import RECORDS
from plait.weights.tensor_file import RECEIPT, WEIGHT_FILE, read_tensor_file, store_tensors

Say = Callable[[str], None]
SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")


def accept(name: str, path: Path, out: Path, say: Say | None = None, root: Path | None = None) -> dict[str, Any]:
    """Check a weight file and lay it, with the small files beside it, into a new folder.

    Args:
        name: The name or reference it was fetched as.
        path: The file.
        out: The folder to make.
        say: Called with one line when the file has to be converted.
        root: The folder that it belongs to, where it lies in one below; None: the one it lies in.

    Returns:
        The receipt: ``sha256`` of the published file and ``files``, the hash of each stored file that matters.

    Raises:
        ValueError: No such file, another hash than the record's, or a file that cannot be converted.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is not in it")
    record = RECORDS.get(name) if name in RECORDS else None
    digest = file_sha256(path)
    if record is not None and digest != record.sha256:
        raise ValueError(f"{path.name} has sha256 {digest}, expected {record.sha256}; it was not used")
    out.mkdir(parents=True)
    if record is not None and record.convert is not None:
        if say is not None:
            say(f"{name}: converting {path.name} to {WEIGHT_FILE}")
        record.convert(path, out)
        stored = sorted(file for file in out.rglob("*") if file.is_file())
        return {"sha256": digest, "files": {file.relative_to(out).as_posix(): file_sha256(file) for file in stored}}
    if path.suffix != ".safetensors":
        return {"sha256": digest, **store_tensors(read_tensor_file(path), out)}
    root = path.parent if root is None else root
    shards = [path] if path.name == WEIGHT_FILE and path.parent == root else sorted(root.glob("*.safetensors"))
    small = [file for pattern in SMALL_FILES for file in root.glob(pattern) if file.name != RECEIPT]
    for folder in module_folders(root):  # of sentence-transformers: networks, poolings, layers
        shards += sorted((root / folder).glob("*.safetensors"))
        small += [file for pattern in SMALL_FILES for file in (root / folder).glob(pattern)]
    for file in [*shards, *small]:
        place = out / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    kept = [file.relative_to(root).as_posix() for file in shards]
    return {"sha256": digest, "files": {name: file_sha256(out / name) for name in kept}}
