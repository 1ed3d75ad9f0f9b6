"""Encoding what the feature store lacks: each unique text or image once, then never again.

Keys of all items and a function that loads one come in; a `FeatureSet` in the order of the keys goes
out, with the reasons of items that could not be read. Texts run in batches of like length; images
are decoded in threads while the encoder works on the batch before. Finished items are stored every
thousand or so, and whenever the work ends early, so that a kill or Ctrl-C loses little.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.data.progress import Progress
from plait.inputs.feature_store.batches import Load, media_batches, text_batches
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.inputs.feature_store.segment import SEGMENT_VERSION, FeatureStoreError
from plait.inputs.feature_store.space import Space
from plait.inputs.feature_store.store import FeatureStore

FLUSH_ITEMS = 1024
FLUSH_BYTES = 64 * 1024**2
FLUSH_SECONDS = 60.0


def space_fingerprint(encoder: Any, processor: Any, with_tokens: bool, precision: str = "float32") -> str:
    """sha256 hex over everything the stored values depend on."""
    parts = [SEGMENT_VERSION, encoder.fingerprint, processor.fingerprint, with_tokens, precision]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def encode_items(
    store: FeatureStore,
    encoder: torch.nn.Module,
    processor: Any,
    keys: Sequence[str | None],
    load: Load,
    *,
    batch_size: int = 32,
    with_tokens: bool = False,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
    on_error: str = "raise",
    workers: int = 2,
) -> tuple[FeatureSet, dict[int, str]]:
    """Features of all items, encoding those the store lacks.

    Args:
        store: where features are kept.
        encoder: called as `encoder(**inputs)` under `torch.inference_mode`, gives `vector_BD` and, for
            tokens, `tokens_BTD` and `mask_BT`; must have a `fingerprint`. Its training mode is kept.
        processor: `process(list) -> dict of tensors`, a `fingerprint`, and a `kind` ("text", "image" or "audio").
        keys: sha256 hex of each item's content; None for an absent item.
        load: gives item i, the text, bytes or path whose key is `keys[i]`. Called in threads.
        batch_size: items in one forward; halved by itself when a GPU runs out of memory.
        with_tokens: store tokens beside the vector.
        device: where to run, and the encoder is moved there; its own device when None. On CUDA with
            bfloat16 the forward runs in bfloat16, and its features are kept apart from float32 ones.
        progress: called with (items done, items to encode, what).
        on_error: "raise" stops at the first item that cannot be read; "collect" leaves it absent.
        workers: threads that decode images.

    Returns:
        The features in the order of `keys`, and index -> reason for every item that could not be read.

    Raises:
        ValueError: an item cannot be read (with "raise"), or an argument is wrong.
        FeatureStoreError: the store's folder cannot be written.
    """
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is {on_error!r}; give 'raise' or 'collect'")
    if batch_size < 1 or workers < 0:
        raise ValueError(f"batch_size is {batch_size} and workers {workers}; give at least 1 and 0")
    kind = getattr(processor, "kind", "text")
    if device is not None:
        encoder.to(device)
    target = _device_of(encoder) if device is None else torch.device(device)
    use_bf16 = target.type == "cuda" and torch.cuda.is_bf16_supported()
    precision = "bfloat16" if use_bf16 else "float32"
    space = store.space(
        space_fingerprint(encoder, processor, with_tokens, precision),
        {
            "kind": kind,
            "encoder": _describe(encoder),
            "encoder_fingerprint": encoder.fingerprint,
            "processor_fingerprint": processor.fingerprint,
            "with_tokens": with_tokens,
            "precision": precision,
        },
    )
    missing = space.missing(keys)
    failures: dict[int, str] = {}
    if missing:
        space.prepare()  # a folder that cannot be written shows before the work, not after
        run = _Run(encoder, target, use_bf16, with_tokens, _Buffer(space, with_tokens))
        if progress is not None:
            progress(0, len(missing), f"encoding {kind}s")
        was_training = encoder.training
        encoder.eval()
        done = 0
        batches = text_batches if kind == "text" else media_batches
        try:
            prepared = batches(processor, missing, load, batch_size, workers)
            with contextlib.closing(prepared):
                for batch in prepared:
                    _note(failures, batch.failures, on_error)
                    if batch.indices:
                        bad = run.forward(batch.inputs, [(i, keys[i]) for i in batch.indices])
                        _note(failures, bad, on_error)
                    done += len(batch.indices) + len(batch.failures)
                    if progress is not None:
                        progress(done, len(missing), f"encoding {kind}s")
        finally:  # finished, failed or interrupted: what is encoded is kept
            encoder.train(was_training)
            run.buffer.flush()
    if failures:
        reasons = {keys[i]: reason for i, reason in failures.items()}
        failures = {i: reasons[key] for i, key in enumerate(keys) if key is not None and key in reasons}
    features = space.gather(keys, allow_missing=bool(failures))
    return features, failures


def _note(failures: dict[int, str], found: Mapping[int, str], on_error: str) -> None:
    if found and on_error == "raise":
        index, reason = next(iter(found.items()))
        raise ValueError(f"item {index} cannot be encoded: {reason}; pass on_error='collect' to go on without it")
    failures.update(found)


def _device_of(encoder: torch.nn.Module) -> torch.device:
    first = next(encoder.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _describe(encoder: torch.nn.Module) -> object:
    """The encoder's own config where it has one in JSON, else its class name."""
    config = getattr(encoder, "config", None)
    try:
        described = config() if callable(config) else type(encoder).__name__
        json.dumps(described)
    except TypeError:
        return type(encoder).__name__
    return described


@dataclass
class _Buffer:
    """Encoded items not yet on disk."""

    space: Space
    with_tokens: bool
    keys: list[str] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    num_bytes: int = 0
    flushed_at: float = field(default_factory=time.monotonic)
    is_broken: bool = False

    def add(self, key: str, vector: np.ndarray, tokens: np.ndarray | None) -> None:
        self.vectors.append(vector)
        self.num_bytes += vector.nbytes
        if tokens is not None:
            self.tokens.append(tokens)
            self.num_bytes += tokens.nbytes
        self.keys.append(key)  # last: an interrupt in between leaves a row without a key, cut off below

    def flush_if_due(self) -> None:
        is_late = time.monotonic() - self.flushed_at > FLUSH_SECONDS
        if len(self.keys) >= FLUSH_ITEMS or self.num_bytes >= FLUSH_BYTES or is_late:
            self.flush()

    def flush(self) -> None:
        if not self.keys or self.is_broken:
            return
        num = len(self.keys)
        try:
            self.space.put(self.keys, np.stack(self.vectors[:num]), self.tokens[:num] if self.with_tokens else None)
        except FeatureStoreError:
            self.is_broken = True  # the error is on its way to the user; do not try again while leaving
            raise
        self.keys, self.vectors, self.tokens, self.num_bytes = [], [], [], 0
        self.flushed_at = time.monotonic()


@dataclass
class _Run:
    """What a forward needs, and where its results go."""

    encoder: torch.nn.Module
    device: torch.device
    use_bf16: bool
    with_tokens: bool
    buffer: _Buffer

    def forward(self, inputs: dict[str, Tensor], items: list[tuple[int, str]]) -> dict[int, str]:
        """Encode a batch into the buffer; returns the items whose features are not finite."""
        try:
            vectors, tokens, masks = self._encode(inputs, len(items))
        except torch.OutOfMemoryError:
            if len(items) == 1:
                raise
        else:
            return self._keep(items, vectors, tokens, masks)
        torch.cuda.empty_cache()
        half = len(items) // 2  # outside the handler, which would keep the failed batch alive
        first = self.forward({name: value[:half] for name, value in inputs.items()}, items[:half])
        return first | self.forward({name: value[half:] for name, value in inputs.items()}, items[half:])

    def _encode(
        self, inputs: dict[str, Tensor], num_items: int
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        moved = {name: value.to(self.device, non_blocking=True) for name, value in inputs.items()}
        autocast = torch.autocast("cuda", dtype=torch.bfloat16) if self.use_bf16 else contextlib.nullcontext()
        with torch.inference_mode(), autocast:
            encoded = self.encoder(**moved)
        vectors = encoded.vector_BD.float().cpu().numpy()
        if vectors.ndim != 2 or len(vectors) != num_items:
            raise ValueError(f"the encoder gave vectors of shape {vectors.shape} for {num_items} items")
        if not self.with_tokens:
            return vectors, None, None
        if encoded.tokens_BTD is None:
            raise ValueError("this encoder gives no tokens; pass with_tokens=False or choose another encoder")
        tokens = encoded.tokens_BTD.to(torch.float16).cpu().numpy()
        if encoded.mask_BT is None:
            return vectors, tokens, np.ones(tokens.shape[:2], dtype=bool)
        return vectors, tokens, encoded.mask_BT.bool().cpu().numpy()

    def _keep(
        self,
        items: list[tuple[int, str]],
        vectors: np.ndarray,
        tokens: np.ndarray | None,
        masks: np.ndarray | None,
    ) -> dict[int, str]:
        bad = {}
        for row, (index, key) in enumerate(items):
            own = None if tokens is None or masks is None else tokens[row][masks[row]]
            if not np.isfinite(vectors[row]).all():
                bad[index] = "the encoder gave NaN or infinity"
            elif own is not None and not np.isfinite(own).all():
                bad[index] = "the encoder gave tokens that are NaN, infinite or beyond float16 (65504)"
            else:
                self.buffer.add(key, vectors[row], own)
        self.buffer.flush_if_due()
        return bad
