"""What else PyTorch offers to a frozen encoder on a CPU, each option on and off in turns in one process.

- bfloat16 autocast, which the feature store uses on CUDA alone;
- channels-last pictures (as our encoders have them), plain ones, and weights in that order too;
- fused attention (transformers' ``sdpa``, as our encoders have it) beside ``eager``;
- ``torch.compile``, and the same with weights as constants (Inductor's ``freezing``), with the seconds it takes and the
  number of items after which they are made up for by the clock.

Batches are those of ``encode_items``: texts of 4 to 60 words by length, 32 at once; noise of 224 px, as many as
``encoders.batch_mb`` holds. A cell is the default's time over the option's, round by round, median and range: above 1
the option is faster. The cosine is the lowest of any item with the default's vector; "off" is the largest difference
over the length of a vector. Networks named ``timm:NAME`` have weights drawn at random: for the order of channels alone.

Run: python benchmarks/encode_options.py [--encoders minilm:text,...] [--threads 1,2] [--rounds 5] [--options NAMES]
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # each compiles as the first time

import numpy as np
import torch
from torch import Tensor

from measure import line, table
from plait.encoders import load_encoder
from plait.encoders.batching import forward_bytes, most_bytes
from plait.encoders.image import TimmEncoder
from turns import in_turns

WORDS = "a dog runs over green grass near the red bench while two children watch it and laugh in rain".split()
DEFAULT = "default"
ENCODERS = "minilm:text,efficientnet-lite0:image,timm:resnet18:image,timm:mobilenetv3_small_100:image"
HEAD = ["encoder", "threads", "option", "items a processor second", "times as fast, processor time", "clock",
        "lowest cosine", "off", "seconds of compiling", "pays after, items"]  # fmt: skip
Batches = list[dict[str, Tensor]]
Forward = Callable[..., Tensor]


@dataclass
class Way:
    """One way to encode.

    Attributes:
        forward: From a batch to vectors [B, D].
        compiles: Whether its first pass takes longer.
    """

    forward: Forward
    compiles: bool = False


def loaded(reference: str, kind: str) -> Any:
    """A frozen encoder, with weights at random where it is one of timm's."""
    if not reference.startswith("timm:"):
        return load_encoder(reference, kind)[0].eval()
    torch.manual_seed(0)
    name = reference.removeprefix("timm:")
    return TimmEncoder({"type": "timm", "reference": reference, "name": name, "resizes": False}).eval()


def batches_of(encoder: Any, reference: str, kind: str, count: int) -> Batches:
    """As encoding makes them."""
    rng = np.random.default_rng(0)
    if kind == "text":
        _, processor = load_encoder(reference, kind)
        texts = [" ".join(rng.choice(WORDS, int(rng.integers(4, 61)))) for _ in range(count)]
        texts.sort(key=len, reverse=True)
        return [processor.process(texts[i : i + 32]) for i in range(0, count, 32)]
    noise = torch.from_numpy(rng.standard_normal((count, 3, 224, 224), dtype=np.float32))
    most = most_bytes(encoder, torch.device("cpu")) // forward_bytes({"pixel_values": noise[:1]})
    return [{"pixel_values": noise[i : i + most]} for i in range(0, count, most)]


def vectors(encoder: Any, **batch: Tensor) -> Tensor:
    """The encoder as it is."""
    return encoder(**batch).vector_BD  # type: ignore[no-any-return]


def lower(encoder: Any, **batch: Tensor) -> Tensor:
    """Under bfloat16 autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return vectors(encoder, **batch).float()


def plain(encoder: Any, pixel_values: Tensor) -> Tensor:
    """A network of timm on pictures channel by channel."""
    return encoder.model.forward_head(encoder.model.forward_features(pixel_values), pre_logits=True)  # type: ignore[no-any-return]


def ways_of(reference: str, kind: str, encoder: Any) -> dict[str, Way]:
    """What there is to try of an encoder."""
    ways = {DEFAULT: Way(partial(vectors, encoder)), "bfloat16 autocast": Way(partial(lower, encoder))}
    if kind == "text":
        kept = encoder.model.config._attn_implementation
        other = loaded(reference, kind)
        other.model.set_attn_implementation("eager")
        ways[f"attention eager, not {kept}"] = Way(partial(vectors, other))
    else:
        other = copy.deepcopy(encoder)
        other.model.to(memory_format=torch.channels_last)
        ways["channels first"] = Way(partial(plain, encoder))
        ways["channels-last weights too"] = Way(partial(vectors, other))
    if not reference.startswith("timm:"):
        dynamic = True if kind == "text" else None  # one network for all lengths
        for name, options in (("torch.compile", {}), ("torch.compile, weights constant", {"freezing": True})):
            made = torch.compile(copy.deepcopy(encoder), dynamic=dynamic, options=options)
            ways[name] = Way(partial(vectors, made), compiles=True)
    return ways


def encode(forward: Forward, batches: Batches) -> Tensor:
    """All vectors [N, D]."""
    with torch.inference_mode():
        return torch.cat([forward(**batch) for batch in batches])


def measured(reference: str, kind: str, threads: int, rounds: int, only: list[str]) -> Iterator[list[str]]:
    """Rows of the table."""
    torch.set_num_threads(threads)
    encoder = loaded(reference, kind)
    batches = batches_of(encoder, reference, kind, 128 if kind == "text" else 24)
    count = sum(len(next(iter(batch.values()))) for batch in batches)
    ways = {n: w for n, w in ways_of(reference, kind, encoder).items() if n == DEFAULT or not only or n in only}
    wanted_ND = encode(ways[DEFAULT].forward, batches)
    firsts = {}
    for name, way in list(ways.items()):
        if way.compiles:
            began = time.perf_counter()
            try:
                encode(way.forward, batches)
            except Exception as error:  # a compiler may raise anything; that it cannot is what is told
                yield [reference, str(threads), name, f"cannot: {str(error).strip().splitlines()[0][:80]}"]
                del ways[name]
                continue
            firsts[name] = time.perf_counter() - began
    turns = in_turns({name: partial(encode, way.forward, batches) for name, way in ways.items()}, rounds)
    usual = float(np.median(turns.seconds[DEFAULT]))
    for name in ways:
        own = float(np.median(turns.seconds[name]))
        ratios = [turns.cpu_ratio(DEFAULT, name), turns.ratio(DEFAULT, name)]
        got_ND = turns.results[name]
        cosine = float(torch.nn.functional.cosine_similarity(got_ND.double(), wanted_ND.double()).min())
        off = float(((got_ND - wanted_ND).norm(dim=1) / wanted_ND.norm(dim=1)).max())
        compiling = firsts[name] - own if name in firsts else None
        pays = "" if compiling is None else f"{count * compiling / (usual - own):,.0f}" if own < usual else "never"
        yield [
            reference, str(threads), name, f"{count / np.median(turns.cpu[name]):.1f}",
            *(f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in ratios),
            f"{cosine:.6f}", f"{off:.0e}", "" if compiling is None else f"{compiling:.0f}", pays,
        ]  # fmt: skip


def main() -> None:
    """Measure each encoder and number of threads in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default=ENCODERS)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--options", default="", help='names of options with "; " between them; none: all')
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        only = given.options.split("; ") if given.options else []
        for row in measured(given.one[0], given.one[1], int(given.one[2]), given.rounds, only):
            line(row)
        return
    product = "bfloat16 products in hardware" if torch.cpu._is_avx512_bf16_supported() else "no bfloat16 in hardware"
    print(f"PyTorch {torch.__version__}, {product}, {given.rounds} rounds\n", flush=True)
    table(HEAD, [])
    for named in given.encoders.split(","):
        reference, _, kind = named.rpartition(":")
        for threads in given.threads.split(","):
            command = [sys.executable, __file__, "--one", reference, kind, threads]
            command += ["--rounds", str(given.rounds), "--options", given.options]
            passive = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}  # waiting is not counted as work
            subprocess.run(command, check=True, env={**os.environ, **passive})


if __name__ == "__main__":
    main()
