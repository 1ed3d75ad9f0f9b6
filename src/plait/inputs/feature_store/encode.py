"""Encoding what the feature store lacks: each unique text or image once, then never again.

Keys of all items and a function that loads one come in; a `FeatureSet` in the order of the keys goes
out, with the reasons of items that could not be read. Finished items are stored along the way and
whenever the work ends early, so that a kill or Ctrl-C loses little. Processes that encode the same
items share the work (`claims`); whoever has nothing left to do waits for what the others encode.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.data.memory import keep_freed
from plait.data.progress import Progress
from plait.encoders.base import Encoded
from plait.encoders.batching import most_bytes
from plait.encoders.deferred import DeferredEncoder
from plait.encoders.engine import EngineError, OpenVinoForward, say_once
from plait.inputs.feature_store.batches import Batch, Load, media_batches, readable_texts, text_batches
from plait.inputs.feature_store.buffer import FLUSH_ITEMS, Buffer
from plait.inputs.feature_store.claims import Claims
from plait.inputs.feature_store.decoding import num_decoders
from plait.inputs.feature_store.engine_choice import PRODUCTS, chosen_engine
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.inputs.feature_store.segment import SEGMENT_VERSION
from plait.inputs.feature_store.space import Space
from plait.inputs.feature_store.store import FeatureStore

ROUNDS = 3  # more would be needed only if what was stored kept vanishing
CLAIMS_A_RUN = 64  # so many claims share out a large table
MOST_WAIT = 1.0


def space_fingerprint(
    encoder: Any, processor: Any, with_tokens: bool, precision: str = "float32", engine: str = "torch"
) -> str:
    """sha256 hex over everything the stored values depend on; what PyTorch encodes has the same as ever."""
    parts = [SEGMENT_VERSION, encoder.fingerprint, processor.fingerprint, with_tokens, precision]
    parts += [] if engine == "torch" else [engine]
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
    workers: int | None = None,
    engine: str = "torch",
    engine_required: bool = False,
) -> tuple[FeatureSet, dict[int, str]]:
    """Features of all items, encoding those the store lacks.

    Args:
        store: where features are kept.
        encoder: called as `encoder(**inputs)` under `torch.inference_mode`, gives `vector_BD` and, for
            tokens, `tokens_BTD` and `mask_BT`; must have a `fingerprint`. Its training mode is kept.
        processor: `process(list) -> dict of tensors`, a `fingerprint`, and a `kind` ("text", "image" or "audio").
        keys: sha256 hex of each item's content; None for an absent item.
        load: gives item i, the text, bytes or path whose key is `keys[i]`. Called in threads.
        batch_size: most items in one forward; fewer where they are long (`encoders.batching`), and halved by itself
            when a GPU runs out of memory.
        with_tokens: store tokens beside the vector.
        device: where to run, and the encoder is moved there; its own device when None. On CUDA with
            bfloat16 the forward runs in bfloat16, and its features are kept apart from float32 ones.
        progress: called with (items done, items to encode, what), also while another process encodes the rest.
        on_error: "raise" stops at the first item that cannot be read; "collect" leaves it absent.
        workers: threads that decode; None: those of PyTorch on a CPU, else two.
        engine: one of `engine_choice.ENGINES` or "auto": what runs the forward on a CPU. OpenVINO's features, within
            `plait.encoders.engine.TOLERANCE` of PyTorch's (`LOWER_TOLERANCE` with fewer bits), are kept apart.
        engine_required: an engine named that cannot be used is an error; else PyTorch encodes, which is said once.

    Returns:
        The features in the order of `keys`, whose `engine` says what encoded them, and index -> reason for every
        item that could not be read.

    Raises:
        ValueError: an item cannot be read (with "raise"), an argument is wrong, or the engine cannot be used.
        FeatureStoreError: the store's folder cannot be written.
    """
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is {on_error!r}; give 'raise' or 'collect'")
    if batch_size < 1 or (workers is not None and workers < 1):
        raise ValueError(f"batch_size is {batch_size} and workers {workers}; give at least 1 of each")
    kind = getattr(processor, "kind", "text")
    if device is not None:
        encoder.to(device)
    target = _device_of(encoder) if device is None else torch.device(device)
    use_bf16 = target.type == "cuda" and torch.cuda.is_bf16_supported()
    precision = "bfloat16" if use_bf16 else "float32"

    @functools.cache
    def space_of(engine: str) -> Space:
        description = {
            "kind": kind,
            "encoder": _describe(encoder),
            "encoder_fingerprint": encoder.fingerprint,
            "processor_fingerprint": processor.fingerprint,
            "with_tokens": with_tokens,
            "precision": precision,
        } | ({} if engine == "torch" else {"engine": engine})
        return store.space(space_fingerprint(encoder, processor, with_tokens, precision, engine), description)

    def fill(engine: str) -> tuple[FeatureSet, dict[int, str]]:
        space = space_of(engine)
        missing = space.missing(keys)
        failures: dict[int, str] = {}
        if missing:
            if isinstance(encoder, DeferredEncoder):
                encoder.become()
            if target.type == "cpu":
                keep_freed()
            space.prepare()  # a folder that cannot be written shows before the work, not after
            products = PRODUCTS.get(engine, "float32")
            forward = None if engine == "torch" else OpenVinoForward(encoder, with_tokens, products)
            run = _Run(encoder, target, use_bf16, with_tokens, Buffer(space, with_tokens), forward)
            decoders = workers or num_decoders(target)
            work = _Work(space, run, processor, keys, load, batch_size, decoders, most_bytes(encoder, target))
            was_training = encoder.training
            encoder.eval()
            try:
                failures = work.encode(missing, on_error, progress or (lambda *_: None))
            finally:
                encoder.train(was_training)
        if failures:
            reasons = {keys[i]: reason for i, reason in failures.items()}
            failures = {i: reasons[key] for i, key in enumerate(keys) if key is not None and key in reasons}
        dims = (getattr(encoder, "vector_dim", 0), getattr(encoder, "token_dim", None) if with_tokens else None)
        features = space.gather(keys, allow_missing=bool(failures), empty_dims=dims)
        features.engine = engine
        return features, failures

    try:
        return fill(
            chosen_engine(
                engine, kind, encoder, target, with_tokens, lambda name: len(space_of(name).missing(keys)),
                required=engine_required,
            )
        )  # fmt: skip
    except EngineError as error:
        if engine not in ("auto", "torch") and engine_required:
            raise ValueError(
                f"{getattr(encoder, 'reference', kind)} cannot be encoded by OpenVINO: {error}. With "
                "encoders.engine=auto PyTorch encodes what OpenVINO cannot"
            ) from error
        say_once(encoder, str(error))
    return fill("torch")


def _note(failures: dict[int, str], found: Mapping[int, str], on_error: str) -> None:
    if found and on_error == "raise":
        index, reason = next(iter(found.items()))
        raise ValueError(f"item {index} cannot be encoded: {reason}; pass on_error='collect' to go on without it")
    failures.update(found)


def _device_of(encoder: torch.nn.Module) -> torch.device:
    if isinstance(encoder, DeferredEncoder):  # asking its weights would read them
        return torch.device("cpu")
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
class _Run:
    """What a forward needs, and where its results go."""

    encoder: torch.nn.Module
    device: torch.device
    use_bf16: bool
    with_tokens: bool
    buffer: Buffer
    engine: Callable[[dict[str, Tensor]], Encoded] | None = None

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
            encoded = self.encoder(**moved) if self.engine is None else self.engine(moved)
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


@dataclass
class _Work:
    """The items a store lacks, and all that turns them into stored features."""

    space: Space
    run: _Run
    processor: Any
    keys: Sequence[str | None]
    load: Load
    batch_size: int
    workers: int
    budget: int
    texts: dict[int, str] = field(default_factory=dict)

    def encode(self, missing: list[int], on_error: str, tell: Progress) -> dict[int, str]:
        """Encode until everything is stored, by this process or by others; returns the reasons of what cannot be."""
        kind = getattr(self.processor, "kind", "text")
        total, failures, rounds, wait = len(missing), {}, 0, 0.1
        # The start of an engine takes seconds, which would spoil what is reckoned from the time of the first items.
        tell(0, total, f"encoding {kind}s" if self.run.engine is None else f"making OpenVINO ready for {kind}s")
        if kind == "text":
            self.texts, failures = readable_texts(missing, self.load, self.processor)
            missing = list(self.texts)
            _note({}, failures, on_error)
        with Claims(self.space) as claims:
            while missing and rounds < ROUNDS:
                done = total - len(missing)
                try:
                    with contextlib.closing(self._batches(kind, missing, claims)) as batches:
                        for batch in batches:
                            self._forward(batch, failures, on_error)
                            claims.touch()
                            done += len(batch.indices) + len(batch.failures)
                            wait = 0.1
                            tell(done, total, f"encoding {kind}s")
                finally:  # finished, failed or interrupted: what is encoded is kept
                    self.run.buffer.flush()
                    claims.release()
                missing = self._left(missing, failures)
                rounds += not claims.is_shared
                if missing and claims.is_shared:
                    tell(total - len(missing), total, f"waiting for another process that encodes {kind}s")
                    time.sleep(wait)
                    wait = min(MOST_WAIT, 1.5 * wait)
        return failures

    def _batches(self, kind: str, missing: list[int], claims: Claims) -> Generator[Batch]:
        at_once = min(FLUSH_ITEMS, max(self.batch_size, len(missing) // CLAIMS_A_RUN))
        walk = claims.walk(deque((i, str(self.keys[i])) for i in missing), at_once)
        if kind == "text":
            return text_batches(self.processor, walk, self.texts, self.batch_size, self.budget)
        in_turns = self.run.device.type == "cpu"
        return media_batches(
            self.processor, walk, self.load, self.batch_size, self.workers, self.budget, in_turns=in_turns
        )

    def _forward(self, batch: Batch, failures: dict[int, str], on_error: str) -> None:
        _note(failures, batch.failures, on_error)
        if batch.indices:
            bad = self.run.forward(batch.inputs, [(i, str(self.keys[i])) for i in batch.indices])
            _note(failures, bad, on_error)

    def _left(self, missing: list[int], failures: dict[int, str]) -> list[int]:
        """What is neither stored nor beyond repair, in the same order."""
        open_ones = [i for i in missing if i not in failures]
        return [open_ones[place] for place in self.space.missing([self.keys[i] for i in open_ones])]
