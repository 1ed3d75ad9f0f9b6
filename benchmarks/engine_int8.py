"""What OpenVINO in eight bits and in bfloat16 (``encoders.engine=openvino-int8``, ``openvino-bf16``) changes of
accuracy and retrieval, by the same texts in float32 and in fewer bits in one process, and how much faster it is.

Accuracy: the sentiment of posts (posts-sentiment) by a logistic regression on the vectors, a fifth of the posts held
out, a division for each seed, the same for both. Retrieval: of each test photo of flickr8k-2k the first caption asks
among all other captions of the test photos; a hit is one of the same photo (recall at 1 and 5; no seed). The interval
is of the paired difference over 2,000 bootstrap draws of the queries, of seed 0.

Run: python benchmarks/engine_int8.py [--encoder minilm] [--threads 1] [--seeds 20] [--posts 1500] [--photos 250]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")
LOWER = {"openvino-bf16": "bfloat16", "openvino-int8": "int8"}


def encoded(processor: Any, texts: list[str], forwards: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict]:
    """Vectors of each engine [N, D], in turns batch by batch, and its seconds of processor time."""
    import torch

    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    vectors: dict[str, dict[int, np.ndarray]] = {name: {} for name in forwards}
    seconds = dict.fromkeys(forwards, 0.0)
    for i in range(0, len(order), 32):
        places = order[i : i + 32]
        batch = processor.process([texts[place] for place in places])
        for name, forward in forwards.items():
            began = time.process_time()
            with torch.inference_mode():
                found = forward(batch).vector_BD.numpy()
            seconds[name] += time.process_time() - began
            vectors[name].update(zip(places, found, strict=True))
    return {name: np.stack([of[i] for i in range(len(texts))]) for name, of in vectors.items()}, seconds


def accuracies(vectors_ND: np.ndarray, labels: list[str], seeds: int) -> np.ndarray:
    """Accuracy on the held-out fifth, one for each seed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    scores = []
    for seed in range(seeds):
        parts = train_test_split(vectors_ND, labels, test_size=0.2, stratify=labels, random_state=seed)
        model = LogisticRegression(max_iter=2000).fit(parts[0], parts[2])
        scores.append(model.score(parts[1], parts[3]))
    return np.array(scores)


def hits(vectors_ND: np.ndarray, photos: np.ndarray, depth: int) -> np.ndarray:
    """Whether a caption of the same photo is among the first ``depth``, for the first caption of every photo."""
    unit = vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    queries = np.unique(photos, return_index=True)[1]
    near = unit[queries] @ unit.T
    near[np.arange(len(queries)), queries] = -np.inf
    best = np.argsort(-near, axis=1)[:, :depth]
    return (photos[best] == photos[queries, None]).any(axis=1)


def rates(seconds: dict[str, float], count: int) -> str:
    by = {name: count / spent for name, spent in seconds.items()}
    told = ", ".join(f"{name} {rate:.1f}" for name, rate in by.items())
    times = [
        f"{name} is {by[name] / by['torch']:.2f} times PyTorch, {by[name] / by['openvino']:.2f} times OpenVINO"
        for name in by if name in LOWER
    ]  # fmt: skip
    return "; ".join([f"{count:,} texts, a second: {told}", *times])


def main() -> None:
    base = Path(os.environ.get("PLAIT_TEST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--posts", type=int, default=1500, help="the first so many")
    parser.add_argument("--photos", type=int, default=250, help="the first so many test photos")
    parser.add_argument("--data", type=Path, default=base)
    options = parser.parse_args()
    import torch

    from plait.encoders import engine, load_encoder

    torch.set_num_threads(options.threads)
    encoder, processor = load_encoder(options.encoder, "text")
    encoder.eval()
    forwards = {
        "torch": lambda batch: encoder(**batch), "openvino": engine.OpenVinoForward(encoder, False),
        **{name: engine.OpenVinoForward(encoder, False, products) for name, products in LOWER.items()},
    }  # fmt: skip
    if not engine.multiplies_bfloat16():
        forwards.pop("openvino-bf16")
    lower = [name for name in forwards if name in LOWER]
    encoded(processor, ["a dog runs", "two children watch it"] * 16, forwards)  # compiled outside what is timed

    with (options.data / "posts-sentiment/posts.csv").open(encoding="utf-8", newline="") as stream:
        posts = list(csv.DictReader(stream))[: options.posts]
    vectors, seconds = encoded(processor, [row["text"] for row in posts], forwards)
    print(f"{options.encoder}, {options.threads} threads, posts: {rates(seconds, len(posts))}")
    for name in lower:
        cosine = (vectors["torch"] * vectors[name]).sum(1)
        cosine /= np.linalg.norm(vectors["torch"], axis=1) * np.linalg.norm(vectors[name], axis=1)
        print(f"  cosine of {name} with PyTorch: mean {cosine.mean():.5f}, least {cosine.min():.5f}")
    found = {name: accuracies(of, [row["sentiment"] for row in posts], options.seeds) for name, of in vectors.items()}
    told = ", ".join(f"{name} {of.mean():.4f}" for name, of in found.items())
    print(f"  accuracy over seeds 0 to {options.seeds - 1}: {told}")
    for name in lower:
        change = found[name] - found["torch"]
        error = change.std(ddof=1) / np.sqrt(len(change))
        print(f"    change of {name} {change.mean():+.4f}, standard error {error:.4f}, single seeds "
              f"{change.min():+.4f} to {change.max():+.4f}")  # fmt: skip

    notes = json.loads((options.data / "flickr8k-2k/annotations/captions_test.json").read_text(encoding="utf-8"))
    kept = {one["id"] for one in notes["images"][: options.photos]}
    notes = [note for note in notes["annotations"] if note["image_id"] in kept]
    vectors, seconds = encoded(processor, [note["caption"] for note in notes], forwards)
    print(f"{options.encoder}, {options.threads} threads, captions: {rates(seconds, len(notes))}")
    photos = np.array([note["image_id"] for note in notes])
    for depth in (1, 5):
        found = {name: hits(of, photos, depth).astype(float) for name, of in vectors.items()}
        told = ", ".join(f"{name} {of.mean():.4f}" for name, of in found.items())
        print(f"  recall at {depth} of {len(found['torch'])} queries: {told}")
        for name in lower:
            change = found[name] - found["torch"]
            draws = np.random.default_rng(0).choice(change, (2000, len(change))).mean(axis=1)
            low, high = np.quantile(draws, (0.025, 0.975))
            print(f"    change of {name} {change.mean():+.4f} (95% {low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
