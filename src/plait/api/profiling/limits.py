"""What this machine can do at best, measured in a second: a matrix product, a copy in memory, a decoded photo."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SECONDS = 0.25  # each is measured so long
SIDE = 1024
COPIED = 64 * 2**20


@dataclass(frozen=True)
class Limits:
    """Rates that nothing here can pass.

    Attributes:
        gflops: Billions of float32 operations a second of ``torch.mm`` on 1024 x 1024, with PyTorch's threads.
        copy_gb: Gigabytes a second read and written by a copy of 64 MiB.
        jpeg_megapixels: Megapixels a second that Pillow decodes from a JPEG of noise and gradients, one thread.
        threads: PyTorch's threads.
    """

    gflops: float
    copy_gb: float
    jpeg_megapixels: float
    threads: int


def measure_limits() -> Limits:
    """The best of a few repeats of each."""
    import torch

    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    source, goal = np.ones(COPIED, dtype=np.uint8), np.empty(COPIED, dtype=np.uint8)
    photo = _photo()
    return Limits(
        2.0 * SIDE**3 / _best(lambda: torch.mm(left, right)) / 1e9,
        2.0 * COPIED / _best(lambda: np.copyto(goal, source)) / 1e9,
        1.024 * 0.768 / _best(lambda: _decode(photo)),
        torch.get_num_threads(),
    )


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
