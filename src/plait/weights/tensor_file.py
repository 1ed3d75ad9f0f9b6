"""Weight files on disk: tensors out of a ``.pth`` without unpickling anything else.

Each is stored once as safetensors.

In: the path of a file. Out: tensors by name, or the path of a safetensors twin in the cache. A file whose
tensors claim more than the file holds is refused. Folders reach the cache by one rename, so no half of one
is ever seen.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plait.files import cache_root, file_sha256
from plait.registry import first_line

WEIGHT_FILE = "model.safetensors"
RECEIPT = "plait-source.json"


def as_safetensors(path: Path) -> Path:
    """A safetensors twin of a weight file; a ``.pth`` is converted once and kept in the cache.

    Raises:
        ValueError: The file is missing, of another type, or not a plain table of tensors.
    """
    if not path.is_file():
        raise ValueError(f"the weight file {str(path)!r} does not exist; give the path of a .safetensors or .pth file")
    if path.suffix == ".safetensors":
        return path
    if path.suffix not in (".pth", ".pt", ".bin"):
        raise ValueError(f"the weight file {str(path)!r} has an unknown type; expected .safetensors, .pth, .pt or .bin")
    folder = cache_root() / "weights" / f"file--{file_sha256(path)[:32]}"
    if not (folder / RECEIPT).is_file():
        with scratch_folder() as scratch:
            out = scratch / "out"
            out.mkdir()
            receipt = {"name": path.name, **store_tensors(read_tensor_file(path), out)}
            (out / RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
            install(out, folder)
    return folder / WEIGHT_FILE


def read_tensor_file(path: Path) -> dict[str, Any]:
    """Read a ``.pth`` as tensors only, refusing files whose tensors claim more than the file holds.

    Raises:
        ValueError: The file needs unpickling of other things, or a tensor is larger than the file.
    """
    import torch

    try:
        # mmap needs the zip format of torch >= 1.6; the older format is read as a whole.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # the refusal of other objects, and whatever a damaged file raises
        raise ValueError(f"{path.name} is not a plain file of tensors and was not read: {first_line(error)}") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise ValueError(f"{path.name} does not hold a table of tensors by name")
    limit = path.stat().st_size
    total = sum(value.numel() * value.element_size() for value in loaded.values())
    for key, value in loaded.items():
        if value.numel() * value.element_size() > limit or (value.numel() > 1 and 0 in value.stride()):
            raise ValueError(f"{path.name}: the tensor {key!r} claims {tuple(value.shape)}, more than the file holds")
    if total > 2 * limit:  # tied weights may share memory, but not without end
        raise ValueError(f"{path.name}: the tensors claim {total} bytes, the file holds {limit}")
    return dict(loaded)


def hash_tensors(digest: Any, state: Mapping[str, Any]) -> None:
    """Add names, types, shapes and bytes of tensors to a running hash, in the order of their names.

    Args:
        digest: What ``hashlib.sha256()`` gives.
        state: Tensors by name, on any device.
    """
    import torch

    for name in sorted(state):
        kept = state[name].detach().to("cpu").contiguous()
        digest.update(f"|{name}|{kept.dtype}|{tuple(kept.shape)}|".encode())
        digest.update(kept.reshape(-1).view(torch.uint8).numpy())


def store_tensors(tensors: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write ``model.safetensors`` into a folder and return its receipt."""
    from safetensors.torch import save_file

    save_file({key: value.clone().contiguous() for key, value in tensors.items()}, out / WEIGHT_FILE)
    return {"files": {WEIGHT_FILE: file_sha256(out / WEIGHT_FILE)}}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder beside the stored weights, so that the last step is one rename."""
    parent = cache_root() / "weights"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=parent) as folder:
        yield Path(folder)


def install(ready: Path, final: Path) -> None:
    """Rename a finished folder into place; a damaged one makes room, a twin of another process wins."""
    if final.exists():
        shutil.rmtree(final)
    try:
        ready.rename(final)
    except OSError:
        if not (final / RECEIPT).is_file():
            raise
