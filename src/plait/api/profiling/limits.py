"""What this machine can do at best, measured in a second or two: matrix products, a copy in memory, a decoded photo."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SECONDS = 0.25  # each is measured so long
SIDE, DEVICE_SIDE = 1024, 8192  # of the matrices, on a processor and on an accelerator
COPIED = 64 * 2**20


@dataclass(frozen=True)
class Limits:
    """Rates that nothing here can pass.

    Attributes:
        gflops: Billions of float32 operations a second of ``torch.mm`` on 1024 x 1024, with PyTorch's threads.
        copy_gb: Gigabytes a second read and written by a copy of 64 MiB.
        jpeg_megapixels: Megapixels a second that Pillow decodes from a JPEG of noise and gradients, one thread.
        threads: PyTorch's threads.
        device: What trains and encodes here: "cpu", or the name of the accelerator.
        products: Billions of operations a second of ``torch.mm`` there, by precision, of those that were asked for: on
            8192 x 8192 on an accelerator that has room for them.
    """

    gflops: float
    copy_gb: float
    jpeg_megapixels: float
    threads: int
    device: str = "cpu"
    products: dict[str, float] = field(default_factory=dict)

    def product(self, precision: str) -> float:
        """What the device reaches in a precision; of one that was not measured, in float32."""
        return self.products.get(precision, self.gflops)


def measure_limits(precisions: Iterable[str] = ()) -> Limits:
    """The best of a few repeats of each.

    Args:
        precisions: In which what was done multiplied, "float32" or "bfloat16".
    """
    import torch

    source, goal = np.ones(COPIED, dtype=np.uint8), np.empty(COPIED, dtype=np.uint8)
    photo = _photo()
    gflops, has_cuda = _product("cpu", torch.float32), torch.cuda.is_available()
    known = {} if has_cuda else {"float32": gflops}
    wanted = {name: getattr(torch, name) for name in sorted({*precisions} - {*known})}
    return Limits(
        gflops,
        2.0 * COPIED / _best(lambda: np.copyto(goal, source)) / 1e9,
        1.024 * 0.768 / _best(lambda: _decode(photo)),
        torch.get_num_threads(),
        torch.cuda.get_device_name() if has_cuda else "cpu",
        {**known, **{name: _product("cuda" if has_cuda else "cpu", kind) for name, kind in wanted.items()}},
    )


def _product(device: str, kind: Any) -> float:
    """Billions of operations a second of a product of square matrices."""
    import torch

    side = SIDE
    if device == "cuda":
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info()[0]
        side = DEVICE_SIDE if free > 4 * DEVICE_SIDE**2 * kind.itemsize else SIDE
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))

    def multiply() -> None:
        torch.mm(left, right)
        if device == "cuda":
            torch.cuda.synchronize()

    return 2.0 * side**3 / _best(multiply) / 1e9


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of the repeats that fit."""
    work()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def _photo() -> bytes:
    from PIL import Image

    y, x = np.mgrid[0:768, 0:1024]
    noise = np.random.default_rng(0).normal(0, 12, (768, 1024, 3))
    colours = np.stack([x / 4, y / 3, (x + y) / 7], axis=-1)
    made = io.BytesIO()
    Image.fromarray(np.clip(colours + noise, 0, 255).astype(np.uint8)).save(made, "JPEG", quality=85)
    return made.getvalue()


def _decode(photo: bytes) -> object:
    from PIL import Image

    with Image.open(io.BytesIO(photo)) as opened:
        return opened.convert("RGB")
