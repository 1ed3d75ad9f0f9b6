"""Small encoders and processors whose right answer is known by hand."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import torch


def key_of(item: str | bytes) -> str:
    return hashlib.sha256(item.encode() if isinstance(item, str) else item).hexdigest()


def planted(key: str, dim: int = 8) -> np.ndarray:
    """A vector that only this key can have."""
    return np.frombuffer(hashlib.sha256(key.encode()).digest()[: dim * 2], dtype=np.uint16).astype(np.float32)


def planted_tokens(key: str) -> np.ndarray:
    """0 to 4 tokens of width 3 that only this key can have."""
    digest = hashlib.sha256(b"tokens" + key.encode()).digest()
    return np.frombuffer(digest[1 : 1 + digest[0] % 5 * 3], dtype=np.uint8).reshape(-1, 3).astype(np.float16)


class FakeText:
    """Character codes, padded with 0."""

    kind = "text"
    fingerprint = "fake-text-1"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def process(self, texts: list[str]) -> dict[str, torch.Tensor]:
        if any("\0" in text for text in texts):
            raise ValueError("a text holds a NUL character")
        self.batches.append(list(texts))
        ids = torch.zeros(len(texts), max(map(len, texts)) or 1, dtype=torch.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor([ord(letter) for letter in text], dtype=torch.int64)
        return {"input_ids": ids}


class FakeImage:
    """Bytes to their first four values; anything starting with 'bad' is broken."""

    kind = "image"
    fingerprint = "fake-image-1"

    def process(self, images: list[bytes]) -> dict[str, torch.Tensor]:
        if any(image.startswith(b"bad") for image in images):
            raise SyntaxError("broken chunk")
        return {"input_ids": torch.tensor([list(image[:4]) for image in images])}


class FakeEncoder(torch.nn.Module):
    """vector = (sum, count, 1) of the non-zero codes; tokens = (code, 2 * code) for each."""

    fingerprint = "fake-encoder-1"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.num_forwards = self.num_items = 0
        self.widths: list[int] = []
        self.fail_at: int | None = None
        self.error: BaseException = KeyboardInterrupt()

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        assert not self.training and torch.is_inference_mode_enabled()
        self.num_forwards += 1
        if self.fail_at is not None and self.num_forwards >= self.fail_at:
            raise self.error
        self.num_items += len(input_ids)
        self.widths.append(input_ids.shape[1])
        codes, mask = input_ids.float() * self.weight, input_ids > 0
        vector = torch.stack([codes.sum(1), mask.sum(1).float(), torch.ones(len(codes))], dim=1)
        tokens = torch.stack([codes, 2 * codes], dim=2)
        return SimpleNamespace(vector_BD=vector, tokens_BTD=tokens + 99.0 * ~mask[:, :, None], mask_BT=mask)
