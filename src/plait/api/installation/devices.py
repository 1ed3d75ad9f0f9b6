"""The machine: cores, memory, accelerators as the system shows them, and what PyTorch was built for. Without PyTorch.

``load`` alone imports PyTorch and torchvision, in a process of its own: a broken one cannot take this process with it.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from plait.data.memory import available_memory, bound, default_bound

_ASK = (
    "import json, torch, torchvision\n"
    "cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]\n"
    "mps = torch.backends.mps.is_available()\n"
    "print(json.dumps({'torch': torch.__version__, 'torchvision': torchvision.__version__, 'cuda': cuda, 'mps': mps}))"
)


def machine() -> dict[str, Any]:
    """``python``, ``executable``, ``platform``, ``cores`` (that this process may use) and, in bytes, ``memory``,
    ``free_memory`` (of machine and container) and ``memory_bound``, to which work keeps that is given none.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "python": platform.python_version(), "executable": sys.executable, "platform": platform.platform(),
        "cores": cores, "memory": total_memory(), "free_memory": available_memory(),
        "memory_bound": (bound() or default_bound()).most, "memory_bound_is_given": bound() is not None,
    }  # fmt: skip


def total_memory() -> int | None:
    """Bytes of memory of this machine, or of its container where that has less; None: the system does not tell."""
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        sizes += _windows_memory()
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(sizes, default=None)


def _windows_memory() -> list[int]:
    if sys.platform != "win32":
        return []
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong)] + [
            (f"further_{n}", ctypes.c_ulonglong) for n in range(6)
        ]

    status = Status(length=ctypes.sizeof(Status))
    return [int(status.total)] if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else []


def accelerators() -> list[dict[str, Any]]:
    """Accelerators that the system shows: ``name``, ``kind`` ("cuda", "mps" or "rocm"), ``memory`` in bytes or None."""
    found: list[dict[str, Any]] = []
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        lines = done.stdout.strip().splitlines()
    except (OSError, subprocess.SubprocessError):  # no driver, or one that does not answer
        lines = []
    for line in lines:
        name, _, size = line.rpartition(",")
        memory = int(size) * 2**20 if size.strip().isdigit() else None
        found.append({"name": name.strip() or line.strip(), "kind": "cuda", "memory": memory})
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append({"name": "Apple GPU", "kind": "mps", "memory": None})
    if not found and Path("/dev/kfd").exists():
        found.append({"name": "AMD GPU", "kind": "rocm", "memory": None})
    return found


def torch_build() -> dict[str, str | None]:
    """Version of PyTorch and the ``cuda`` or ``hip`` it was built for, from its file ``version.py``; {}: absent."""
    try:
        spec = find_spec("torch")
    except (ImportError, ValueError):
        return {}
    if spec is None or spec.origin is None:
        return {}
    try:
        body = ast.parse((Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, UnicodeDecodeError):
        return {}
    found: dict[str, str | None] = {}
    for node in body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        target = node.targets[0] if isinstance(node, ast.Assign) else target
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            if target.id in ("__version__", "cuda", "hip"):
                found[target.id.strip("_")] = value.value
    return found


def load(seconds: float = 120.0) -> dict[str, Any]:
    """Import PyTorch and torchvision in a process of their own: their versions and devices, or ``error`` in a line."""
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer after {seconds:.0f} s"}
    if done.returncode == 0:
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return {"error": lines[-1] if lines else f"the process ended with code {done.returncode}"}
