"""Encoding into an empty feature store, beside sentence-transformers and a timm loop, and beside the bare forward.

Peers run in processes of their own (``apart.py``): Plait keeps freed memory in its process, which would help them.
The side of Plait is what fit, predict and an index run on cells: hashing, reading, preparing, batching, encoding,
storing. The bare forward is the same encoder on the very tensors that Plait fed it, so that the ratio says what
everything else takes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apart import Apart
from index_speed import timm_loop
from parts.drawn import photos, texts
from parts.part import Asked, Goal, Measured
from plait.encoders.engine import OpenVinoForward, is_installed
from plait.encoders.load import load_encoder
from plait.inputs.feature_store import FeatureStore, encode_items
from plait.weights import locate
from turns import in_turns

OVERHEAD = Goal("ratio", "pipeline at most 10 % over the raw forward", at_least=1 / 1.1)


def encode_texts(asked: Asked) -> list[Measured]:
    """Two lines: beside sentence-transformers, and beside the raw forward."""
    sentences, data = texts(asked, 32 if asked.quick else 256)
    encoder, processor = load_encoder("minilm", "text")
    keep = partial(stored, encoder, processor, sentences, sentences.__getitem__, _text_key)
    goal = Goal("ratio", "at least 1.3 times sentence-transformers", at_least=1.3)
    setting = f"{len(sentences)} texts, minilm, {asked.threads} threads"
    with Apart(sentence_transformers_side, str(locate("minilm")), sentences, asked.threads) as other:
        sides = {"Plait": keep, "sentence-transformers encode": other}
        return both("text", sides, encoder, asked, data, setting, goal)


def sentence_transformers_side(folder: str, sentences: list[str], threads: int) -> Callable[[], np.ndarray]:
    """Its ``encode``."""
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    return partial(SentenceTransformer(folder, device="cpu").encode, sentences)


def encode_photos(asked: Asked) -> list[Measured]:
    """Three lines: beside a timm loop, beside the raw forward, and by OpenVINO beside decoding and its raw forward."""
    places, data = photos(asked, 16 if asked.quick else 128)
    encoder, processor = load_encoder("efficientnet-lite0", "image")
    keep = partial(stored, encoder, processor, places, lambda i: Path(places[i]).read_bytes(), _file_key)
    goal = Goal("ratio", "at least 2 times a timm loop over a DataLoader", at_least=2.0)
    setting = f"{len(places)} pictures at {processor.size} px, efficientnet-lite0, {asked.threads} threads"
    with Apart(timm_side, places, asked.threads) as other:
        sides = {"Plait": keep, "timm, DataLoader of 2 workers": other}
        lines = both("images", sides, encoder, asked, data, setting, goal)
    return lines + ([by_openvino(encoder, processor, places, asked, data, setting)] if is_installed() else [])


def timm_side(places: list[str], threads: int) -> Callable[[], np.ndarray]:
    """The loop of a notebook, with the same weights and sizes."""
    torch.set_num_threads(threads)
    multiprocessing.set_start_method("fork", force=True)  # of the loader's workers, as it is on Linux by default
    encoder, processor = load_encoder("efficientnet-lite0", "image")
    return lambda: timm_loop(encoder.model, processor, places, 2).numpy()


def stored(
    encoder: Any, processor: Any, cells: list[str], load: Callable[[int], Any], key: Callable[[str], str],
    engine: str = "torch",
) -> np.ndarray:  # fmt: skip
    """Vectors [N, D] of cells, encoded into a store that was empty."""
    keys = [key(cell) for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        features, _ = encode_items(FeatureStore(folder), encoder, processor, keys, load, engine=engine)
        return np.array(features.take(np.arange(len(cells)))["vector_BD"])


def by_openvino(encoder: Any, processor: Any, places: list[str], asked: Asked, data: str, setting: str) -> Measured:
    """The pipeline with OpenVINO, which works so fast that decoding is a third of it: beside both, one after the other,
    decoding in as many threads as PyTorch has.
    """
    cells = [Path(place).read_bytes() for place in places]
    keep = partial(stored, encoder, processor, places, cells.__getitem__, _file_key, "openvino")
    forward = OpenVinoForward(encoder, False)
    fed = tensors_fed(encoder, partial(stored, encoder, processor, places, cells.__getitem__, _file_key))

    def apart() -> None:
        with ThreadPoolExecutor(asked.threads) as pool:
            list(pool.map(lambda cell: processor.process([cell]), cells))
        for inputs in fed:
            forward(inputs)

    peer = "decoding, then the raw forward"
    turns = in_turns({"Plait, OpenVINO": keep, peer: apart}, asked.repeats)
    same = {"same tensors": 1.0}
    return Measured("overhead-images-openvino", "Plait, OpenVINO", peer, data, setting, turns, same)


def both(
    kind: str, sides: dict[str, Callable[[], Any]], encoder: Any, asked: Asked, data: str, setting: str, goal: Goal
) -> list[Measured]:
    """The peer's line and the overhead's."""
    own, peer = sides
    fed = tensors_fed(encoder, sides[own])

    def forward() -> None:
        with torch.inference_mode():
            for inputs in fed:
                encoder(**inputs)

    turns = in_turns({**sides, "raw forward": forward}, asked.repeats)
    cosine = lowest_cosine(turns.results[own], np.asarray(turns.results[peer]))
    same = {"lowest cosine": cosine}
    notes = [] if cosine > 0.9999 else ["the vectors are not equal: the ratio does not count"]
    fed_text = f"{setting}, {len(fed)} batches"
    return [
        Measured(f"encode-{kind}", own, peer, data, setting, replace(turns, cpu={}), same, goal, notes),
        Measured(f"overhead-{kind}", own, "raw forward", data, fed_text, turns, {"same tensors": 1.0}, OVERHEAD),
    ]


def tensors_fed(encoder: Any, run: Callable[[], Any]) -> list[dict[str, Any]]:
    """What the encoder was given while something ran."""
    fed: list[dict[str, Any]] = []

    def note(_: Any, __: Any, named: dict[str, Any]) -> None:
        fed.append(dict(named))

    hook = encoder.register_forward_pre_hook(note, with_kwargs=True)
    try:
        run()
    finally:
        hook.remove()
    return fed


def lowest_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Of the vectors [N, D] of two sides, item by item."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / norms).min())


def _text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_key(place: str) -> str:
    return hashlib.sha256(Path(place).read_bytes()).hexdigest()
