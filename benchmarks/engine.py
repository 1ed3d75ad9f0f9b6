"""Frozen encoders by PyTorch, OpenVINO, OpenVINO in bfloat16 and in eight bits (texts) and ONNX Runtime: items a second
in turns in one process, what the start costs, from how many items on OpenVINO pays, memory, and how far the vectors are
apart. What fewer bits change of accuracy and retrieval is in ``engine_int8.py``.

Texts are of 4 to 60 words, pictures are noise; both come ready from the processor, so the forward alone is measured.
Seconds are of processor time over the number of threads, which other work on the machine disturbs less than the clock.

Run: python benchmarks/engine.py [--encoders minilm:text,efficientnet-lite0:image] [--threads 1,2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
WORDS = "a dog runs over green grass near the red bench while two children watch it and laugh in rain".split()


def batches_of(processor: Any, kind: str, count: int) -> list[dict[str, Any]]:
    """Batches as encoding makes them: of 32, texts by length."""
    import numpy as np

    rng = np.random.default_rng(0)
    if kind == "text":
        items = [" ".join(rng.choice(WORDS, int(rng.integers(4, 61)))) for _ in range(count)]
        items.sort(key=len, reverse=True)
    elif kind == "image":
        from PIL import Image

        items = []
        for _ in range(count):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(buffer, "JPEG")
            items.append(buffer.getvalue())
    else:
        raise SystemExit(f"{kind} is not measured here; text or image")
    return [processor.process(items[i : i + 32]) for i in range(0, count, 32)]


def by_onnxruntime(encoder: Any, batch: dict[str, Any]) -> Any:
    """The encoder exported in memory and run by ONNX Runtime, with all its optimisations."""
    import numpy as np
    import onnxruntime
    import torch

    from plait.encoders import Encoded, engine

    flat = engine._Flat(encoder, list(batch), False).eval()
    example = tuple(tensor[[0, -1]].clone() for tensor in batch.values())
    free = torch.export.Dim.DYNAMIC
    sides = tuple({0: free} | ({1: free} if engine._is_growing(tensor) else {}) for tensor in example)
    with torch.no_grad():
        made = torch.onnx.export(flat, example, dynamo=True, dynamic_shapes=(sides,), verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(made.model_proto.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def forward(batch: dict[str, Any]) -> Any:
        arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in batch.values()]
        return Encoded(torch.from_numpy(session.run(None, dict(zip(names, arrays, strict=True)))[0]), None, None)

    return forward


def apart(got_BD: Any, wanted_BD: Any) -> float:
    """The largest difference, over the length of a vector."""
    return float(((got_BD - wanted_BD).norm(dim=1) / wanted_BD.norm(dim=1)).max())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(reference: str, kind: str, threads: int, rounds: int, count: int) -> None:
    import torch

    from plait.encoders import engine, load_encoder

    torch.set_num_threads(threads)
    encoder, processor = load_encoder(reference, kind)
    encoder.eval()
    batches = batches_of(processor, kind, count)

    def seconds(forward: Any, once: int) -> float:
        began = time.process_time()
        with torch.inference_mode():
            for batch in batches[:once]:
                forward(batch)
        return (time.process_time() - began) / threads

    def by_torch(batch: dict[str, Any]) -> Any:
        return encoder(**batch)

    seconds(by_torch, 1)
    before, wall, began = peak_mb(), time.monotonic(), time.process_time()
    import openvino

    by_openvino = engine.OpenVinoForward(encoder, False)
    with torch.inference_mode():
        by_openvino(batches[0])
    start = time.process_time() - began
    wall, more = time.monotonic() - wall, peak_mb() - before
    forwards = {"torch": by_torch, "openvino": by_openvino}
    if kind == "text":
        if engine.multiplies_bfloat16():
            forwards["openvino-bf16"] = engine.OpenVinoForward(encoder, False, "bfloat16")
        forwards["openvino-int8"] = engine.OpenVinoForward(encoder, False, "int8")
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        forwards["onnxruntime"] = by_onnxruntime(encoder, batches[0])
    off = dict.fromkeys(forwards, 0.0)
    with torch.inference_mode():
        for batch in batches:
            wanted_BD = by_torch(batch).vector_BD
            for name, forward in forwards.items():
                off[name] = max(off[name], apart(forward(batch).vector_BD, wanted_BD))
    rates: dict[str, list[float]] = {name: [] for name in forwards}
    for _ in range(rounds):
        for name, forward in forwards.items():
            rates[name].append(count / seconds(forward, len(batches)))
    middle = {name: statistics.median(found) for name, found in rates.items()}
    saved = 1 / middle["torch"] - 1 / middle["openvino"]
    even = f"{start / saved:,.0f} items" if saved > 0 else "never"
    for name, found in rates.items():
        ratios = [one / other for one, other in zip(found, rates["torch"], strict=True)]
        print(f"{reference:20s} {threads} threads  {name:13s} {middle[name]:7.1f} a second "
              f"({min(found):.1f} to {max(found):.1f}), {statistics.median(ratios):.2f} times "
              f"({min(ratios):.2f} to {max(ratios):.2f}); vectors {off[name]:.1e} apart")  # fmt: skip
    print(f"{'':20s} {threads} threads  openvino: start {start:.1f} s of "
          f"processor ({wall:.1f} s by the clock), even at {even}; {more:+.0f} MB; "
          f"openvino {openvino.__version__.split('-')[0]}, torch {torch.__version__}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default="minilm:text,efficientnet-lite0:image")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], options.one[1], int(options.one[2]), options.rounds, options.items)
        return
    for named in options.encoders.split(","):
        reference, _, kind = named.rpartition(":")
        for threads in options.threads.split(","):
            command = [sys.executable, __file__, "--one", reference, kind, threads]
            command += ["--rounds", str(options.rounds), "--items", str(options.items)]
            passive = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}  # waiting is not counted as work
            subprocess.run(command, check=True, env={**os.environ, **passive})


if __name__ == "__main__":
    main()
