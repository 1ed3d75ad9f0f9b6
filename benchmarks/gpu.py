"""What an accelerator gives: encoding, heads and full fine-tuning in float32 and bfloat16, beside its own peak.

After these come heads with and without ``torch.compile`` (CUDA graphs; on a processor the default mode).

Everything is drawn here, so that nothing but the weights of MiniLM and EfficientNet-Lite0 is needed
(``plait weights fetch minilm efficientnet-lite0``). About ten minutes on one accelerator; ``--quick yes`` is a few
rows of everything, to see on a processor that it runs. Rates are the median of ``--repeats`` turns, with the range; "of
the peak" divides operations that are counted by those of a matrix product in the same precision, measured just before.

Run: python benchmarks/gpu.py [--repeats 3] [--out gpu.json]
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

import plait
from compile import CASES, EAGER, HEAD, QUICK, measured, mode_on
from measure import arguments, table
from plait.encoders.load import load_encoder
from plait.inputs.feature_store import FeatureStore, encode_items

WORDS = "a man rides waves on top of the surfboard in ocean dog runs over snow with red ball two children play".split()
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BACKWARD = 3.0  # operations of a training step by those of its forward pass


def wait() -> None:
    """Until the device has done all."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each repeat, after one that is not counted."""
    work()
    found = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        found.append(time.perf_counter() - began)
    return found


def rate(items: float, seconds: list[float], digits: int = 0) -> str:
    """Median and range of items a second."""
    rates = sorted(items / s for s in seconds)
    return f"{statistics.median(rates):,.{digits}f} ({rates[0]:,.{digits}f} to {rates[-1]:,.{digits}f})"


def peaks(device: torch.device, side: int, repeats: int) -> dict[str, float]:
    """Operations a second of a matrix product, by precision."""
    found = {}
    for name, kind in PRECISIONS.items():
        left = torch.randn(side, side, device=device, dtype=kind)
        found[name] = 2.0 * side**3 / min(seconds_of(lambda left=left: left @ left, repeats))
    return found


def photo(rng: np.random.Generator) -> bytes:
    """A smooth picture as JPEG, 640 x 480."""
    file = io.BytesIO()
    small = Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    small.resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def caption(rng: np.random.Generator) -> str:
    """Some words, no two captions alike."""
    return " ".join(rng.choice(WORDS, 14)) + f" {rng.integers(1 << 40)}"


def encoding(kind: str, reference: str, count: int, batch: int, device: torch.device, given: Any) -> list[list[str]]:
    """Raw forward passes in both precisions, and the whole way from bytes to stored features."""
    rng = np.random.default_rng(0)
    items = [photo(rng) if kind == "image" else caption(rng) for _ in range(count)]
    encoder, processor = load_encoder(reference, kind)
    encoder.to(device).eval()
    inputs = {k: v.to(device) for k, v in processor.process(items[:batch]).items()}
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder(**inputs)
    operations, rows = float(counter.get_total_flops()), len(items[:batch])
    body = []
    for name, precision in PRECISIONS.items():

        def forward(precision: torch.dtype = precision) -> None:
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                encoder(**inputs)

        found = seconds_of(forward, given.repeats)
        share = operations / statistics.median(found) / given.peaks[name]
        body.append([f"encode {kind}, forward alone", name, rate(rows, found), f"{share:.0%}"])
    keys = [hashlib.sha256(i if isinstance(i, bytes) else i.encode()).hexdigest() for i in items]

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            encode_items(
                FeatureStore(folder), encoder, processor, keys, lambda i: items[i], batch_size=batch, device=device,
                workers=os.cpu_count() or 2,
            )  # fmt: skip

    found = seconds_of(whole, given.repeats)
    used = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return [*body, [f"encode {kind}, from bytes to the store", used, rate(count, found), ""]]


def heads(rows: int, given: Any) -> list[list[str]]:
    """A fusion and head on ready vectors."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(rows, 16))
    sides = {
        n: (hidden @ rng.normal(size=(16, 512)) + rng.normal(size=(rows, 512))).tolist() for n in ("left", "right")
    }
    source = {**sides, "label": [f"c{i}" for i in hidden[:, :8].argmax(1)]}
    body = []
    for precision in PRECISIONS:
        found, steps = [], 0.0
        for _ in range(given.repeats):
            with plait.profile() as timed:
                plait.fit(
                    source, "label", vector=["left", "right"], preset="single", epochs=5, progress=False,
                    set=[f"train.precision={precision}", "train.baselines=false", "judge.missing_rows=0"],
                )  # fmt: skip
            phases = timed.phases
            steps = phases["train: forward and backward"].amount
            found.append(phases["train: forward and backward"].seconds + phases["train: optimizer"].seconds)
        body.append(["head on stored features, steps", precision, rate(steps, found, 1), ""])
    return body


def tuning(rows: int, given: Any) -> list[list[str]]:
    """Text encoder trained in full."""
    rng = np.random.default_rng(0)
    texts = [caption(rng) for _ in range(rows)]
    source = {"text": texts, "label": ["yes" if "dog" in t else "no" for t in texts]}
    encoder, processor = load_encoder("minilm", "text")
    inputs = processor.process(texts[:64])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder(**inputs)
    a_row = float(counter.get_total_flops()) / 64
    body = []
    for precision in PRECISIONS:
        found, trained = [], 0.0
        for _ in range(given.repeats):
            with plait.profile(flops=False) as timed:
                made = plait.fit(
                    source, "label", text="text", preset="single", epochs=1, progress=False,
                    set=["encoders.tuning=full", f"train.precision={precision}", "judge.missing_rows=0"],
                )  # fmt: skip
            phases = timed.phases
            trained = float(made.report["splits"]["train"])
            found.append(phases["train: forward and backward"].seconds + phases["train: optimizer"].seconds)
        share = BACKWARD * a_row * trained / statistics.median(found) / given.peaks[precision]
        body.append(["text encoder trained in full, rows", precision, rate(trained, found), f"{share:.0%}"])
    return body


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=None, options={"--repeats": "3", "--out": "", "--quick": "no"})
    given.repeats, quick = int(given.repeats), given.quick != "no"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"processor, {torch.get_num_threads()} threads"
    given.peaks = peaks(device, 512 if quick or device.type == "cpu" else 8192, given.repeats)
    shown = ", ".join(f"{k} {v / 1e12:.2f} TFLOP/s" for k, v in given.peaks.items())
    print(f"{name}; PyTorch {torch.__version__}; matrix product {shown}\n")
    photos, texts, rows, tuned, batch = (16, 32, 400, 64, 8) if quick else (4096, 16384, 50_000, 8192, 256)
    body = [
        *encoding("image", "efficientnet-lite0", photos, batch, device, given),
        *encoding("text", "minilm", texts, batch, device, given),
        *heads(rows, given),
        *tuning(tuned, given),
    ]
    head = ["what", "precision", "a second, median and range", "of the peak"]
    table(head, body)
    cases = QUICK if quick else CASES
    print(f"\nheads, {EAGER} and by torch.compile in the mode {mode_on(device)!r}, ready batches\n")
    compiled = [measured(case, 20 if quick else 200, given.repeats, device) for case in cases]
    table(HEAD, compiled)
    if device.type == "cuda":
        print(f"\nlargest memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    if given.out:
        facts = {
            "device": name,
            "torch": torch.__version__,
            "peaks": given.peaks,
            "rows": [dict(zip(head, r, strict=True)) for r in body],
            "compiled": [dict(zip(HEAD, r, strict=True)) for r in compiled],
        }
        Path(given.out).write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
