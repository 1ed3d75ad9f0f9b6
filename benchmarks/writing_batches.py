"""Training a writer on batches of rows mixed at random against batches of like length: padding, pace and loss.

Captions of flickr8k-2k (``--data``), a row a caption, tokens of the scratch decoder; stored tokens of the photos are
random numbers in the shape of EfficientNet-Lite0's (7 x 7 of 1,280), which change neither padding nor pace.

1. Padding: the share of the writer's positions [prefix; answer] that are padding, over an epoch of all captions, at the
   batch sizes of the recipe (64) and of ``captioning.py`` for SmolLM2 (16), for prefixes of 8, 16 and all 50 tokens,
   and of the positions that the output layer works on (answers alone).
2. Pace: ``train_model`` on both in turns in one process, the decoder of the default size (4 layers of 256) behind 16
   query tokens, batches of 64.
3. Loss: mean cross-entropy a token of held-out captions, small decoders (2 layers of 128), several seeds: after as many
   epochs, and after a quarter more of them where lengths are alike, which takes about as long.

Run: python benchmarks/writing_batches.py [--rounds 3] [--rows 256] [--seeds 3]      (minutes)
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from measure import arguments, spread, table
from plait.data.coco.folder import read_coco_folder
from plait.heads.language import describe_language_model, fit_tokens
from plait.heads.language.network import scratch_config
from plait.heads.language.tokens import AnswerTokens
from plait.inference.generation import answer_loss
from plait.inputs.dataset import RowBatches
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.model import PlaitConfig, PlaitModel
from plait.settings import TrainSettings
from plait.training.collector import old_objects_set_aside
from plait.training.length_groups import GroupedBatches
from plait.training.trainer import train_model
from turns import in_turns, spread_of

PATCHES, WIDTH = 49, 1280
MIXED, GROUPED = "mixed at random", "of like length"
MARKS = 3  # start vector, start token and room for a prompt of one token stand around the prefix


def captions_of(folder: Path) -> list[str]:
    """Captions of the training photos, a row a caption."""
    read = read_coco_folder(folder, task="captions")
    return [c for c, s in zip(read.column("caption"), read.column("split"), strict=True) if s == "train"]


def rows_of(tokens: AnswerTokens, captions: list[str]) -> RowBatches:
    """A row a caption, each with a photo of its own that is one of 64."""
    rng = np.random.default_rng(0)
    photos = [rng.standard_normal((PATCHES, WIDTH)).astype(np.float16) for _ in range(64)]
    features = FeatureSet.from_arrays(rng.standard_normal((64, WIDTH), dtype=np.float32), photos)
    ids = tokens.encode(captions)
    target = np.full((len(ids), 1, max(map(len, ids))), -100, dtype=np.int32)
    for row, one in enumerate(ids):
        target[row, 0, : len(one)] = one
    return RowBatches({"image": features}, np.arange(len(ids))[:, None] % 64, target)


def batches_of(rows: RowBatches, size: int, way: str) -> list[list[int]]:
    """Row numbers of an epoch's batches."""
    if way == GROUPED:
        return GroupedBatches(rows, size, seed=0).batches
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    return [order[start : start + size] for start in range(0, len(order), size)]


def padding(rows: RowBatches, size: int, prefix: int, way: str) -> float:
    """Share of positions that are padding."""
    assert rows.target is not None
    length_N = (rows.target.numpy()[:, 0] >= 0).sum(1)
    real = computed = 0
    for batch in batches_of(rows, size, way):
        real += len(batch) * prefix + int(length_N[batch].sum())
        computed += len(batch) * (prefix + int(length_N[batch].max()))
    return 1 - real / computed


def model_of(tokens: AnswerTokens, layers: int, width: int, seed: int) -> PlaitModel:
    """A decoder from scratch behind 16 query tokens."""
    torch.manual_seed(seed)
    config = scratch_config(tokens.num_tokens, width=width, layers=layers, heads=4, dropout=0.1)
    language = describe_language_model(config, tokens, tuning="full")
    return PlaitModel(
        PlaitConfig(
            modalities=[
                {"name": "image", "kind": "image", "vector_dim": WIDTH, "token_dim": WIDTH, "encoder": None,
                 "order": "grid"}
            ],
            fusion={"name": "prefix", "width": width, "dropout": 0.1,
                    "options": {"projector": "query", "num_queries": 16}},
            head={"name": "generate", "dropout": 0.1, "options": {"language": language}}, task="captioning",
            num_outputs=1,
        )
    )  # fmt: skip


def train(way: str, model: PlaitModel, rows: RowBatches, epochs: int, size: int, seed: int = 0) -> PlaitModel:
    """Train as the recipe does."""
    settings = TrainSettings(
        seed=seed, epochs=epochs, batch_size=size if way == MIXED else 1, optimizer="adamw", learning_rate=1e-3,
        weight_decay=0.01, schedule="cosine", warmup=0.05, patience=0,
    )  # fmt: skip
    given: Any = rows if way == MIXED else GroupedBatches(rows, size, seed)
    with tempfile.TemporaryDirectory() as folder:
        train_model(model, given, settings, Path(folder) / "run", checkpoints=False)
    return model


def main() -> None:
    """Measure and print."""
    given = arguments(
        __doc__ or "", data="flickr8k-2k", seeds=3,
        options={"--rounds": "3", "--rows": "256", "--epochs": "4", "--threads": "1"},
    )  # fmt: skip
    torch.set_num_threads(int(given.threads))
    captions = captions_of(given.data)
    tokens = fit_tokens(captions, vocabulary=4000)
    rows = rows_of(tokens, captions)
    assert rows.target is not None
    length = (rows.target.numpy()[:, 0] >= 0).sum(1)
    print(f"{len(rows):,} captions of {length.mean():.1f} tokens ({length.min()} to {length.max()})\n")
    body = []
    for size, prefix in ((64, 16), (64, 50), (16, 8)):
        shares = [padding(rows, size, prefix + MARKS - 1, way) for way in (MIXED, GROUPED)]
        alone = [padding(rows, size, 0, way) for way in (MIXED, GROUPED)]
        body.append([str(size), str(prefix), *(f"{s:.0%}" for s in shares), *(f"{s:.0%}" for s in alone)])
    table(["batch", "prefix", MIXED, GROUPED, f"answers alone, {MIXED}", f"answers alone, {GROUPED}"], body)
    few = captions[:: max(1, len(captions) // int(given.rows))][: int(given.rows)]
    some = rows_of(tokens, few)
    with old_objects_set_aside():
        sides = {w: partial(_fresh, w, tokens, some) for w in (MIXED, GROUPED)}
        turns = in_turns(sides, int(given.rounds))
        ratios = [turns.cpu_ratio(MIXED, GROUPED), turns.ratio(MIXED, GROUPED)]
        steps = -(-len(some) // 64)
        pace = [f"{1000 * s / steps:.0f}" for s in spread_of(turns.cpu[GROUPED]).values()]
        print(
            f"\n{len(some)} captions, {steps} steps, {given.rounds} rounds, {given.threads} threads; a step "
            f"{pace[0]} ms of processor time ({pace[1]} to {pace[2]}) where lengths are alike\n"
        )
        table(["times as fast", "median (range)"],
              [[n, f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"]
               for n, r in zip(("processor time", "clock"), ratios, strict=True)])  # fmt: skip
        body = []
        train_on, held = rows_of(tokens, captions[:1000]), rows_of(tokens, captions[-300:])
        few_epochs = int(given.epochs)
        for way, epochs in ((MIXED, few_epochs), (GROUPED, few_epochs), (GROUPED, round(1.25 * few_epochs))):
            losses, seconds = [], []
            for seed in range(given.seeds):
                began = time.process_time()
                model = train(way, model_of(tokens, 2, 128, seed), train_on, epochs, 32, seed)
                seconds.append(time.process_time() - began)
                losses.append(answer_loss(model, held, np.arange(len(held)), batch_size=300))
            body.append([way, str(epochs), spread(losses), f"{np.median(seconds):.1f}"])
    print(f"\n1,000 captions, batches of 32, {given.seeds} seeds\n")
    table(["batches", "epochs", "loss a token of 300 others", "processor seconds"], body)


def _fresh(way: str, tokens: AnswerTokens, rows: RowBatches) -> PlaitModel:
    return train(way, model_of(tokens, 4, 256, 0), rows, 1, 64)


if __name__ == "__main__":
    main()
