"""Encoding: each unique item once, broken ones alone left out, nothing lost when work ends early."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.fake_features import FakeEncoder, FakeImage, FakeText, key_of
from plait.inputs.feature_store import FeatureStore, FeatureStoreError, buffer, encode_items, space_fingerprint

TEXTS = ["abc", "z", "abc", "hello there", "no", "z"]
KEYS = [key_of(text) for text in TEXTS]


def sums(items: list) -> list[list[float]]:
    codes = [[ord(letter) for letter in item] if isinstance(item, str) else list(item[:4]) for item in items]
    return [[float(sum(one)), float(len(one)), 1.0] for one in codes]


def test_each_unique_text_once_and_the_second_run_none(tmp_path: Path) -> None:
    encoder, processor, seen = FakeEncoder().train(), FakeText(), []
    features, failures = encode_items(
        FeatureStore(tmp_path),
        encoder,
        processor,
        KEYS,
        TEXTS.__getitem__,
        batch_size=2,
        progress=lambda *step: seen.append(step),
    )
    assert failures == {} and encoder.training
    assert features.take(np.arange(6))["vector_BD"].tolist() == sums(TEXTS)
    assert (encoder.num_items, encoder.num_forwards) == (4, 2)
    assert processor.batches == [["hello there", "abc"], ["no", "z"]]  # longest first
    assert seen == [(0, 4, "encoding texts"), (2, 4, "encoding texts"), (4, 4, "encoding texts")]

    def never(index: int) -> str:
        raise AssertionError("a stored item was loaded again")

    again, _ = encode_items(FeatureStore(tmp_path), encoder, processor, KEYS, never)
    assert encoder.num_forwards == 2
    assert again.take(np.arange(6))["vector_BD"].tolist() == sums(TEXTS)
    more, _ = encode_items(FeatureStore(tmp_path), encoder, processor, [*KEYS, key_of("new")], lambda _: "new")
    assert encoder.num_items == 5 and more.take(np.array([6]))["vector_BD"].tolist() == sums(["new"])


def test_tokens_lose_their_padding(tmp_path: Path) -> None:
    features, _ = encode_items(
        FeatureStore(tmp_path), FakeEncoder(), FakeText(), KEYS, TEXTS.__getitem__, with_tokens=True
    )
    batch = features.take(np.array([4, 1]))
    assert batch["tokens_BTD"].tolist() == [[[110, 220], [111, 222]], [[122, 244], [0, 0]]]
    assert batch["mask_BT"].tolist() == [[True, True], [True, False]]


def test_what_encodes_decides_the_space(tmp_path: Path) -> None:
    encoder, processor = FakeEncoder(), FakeText()
    encode_items(FeatureStore(tmp_path), encoder, processor, KEYS, TEXTS.__getitem__)
    processor.fingerprint = "fake-text-2"
    encode_items(FeatureStore(tmp_path), encoder, processor, KEYS, TEXTS.__getitem__)
    encoder.fingerprint = "fake-encoder-2"
    encode_items(FeatureStore(tmp_path), encoder, processor, KEYS, TEXTS.__getitem__)
    assert encoder.num_items == 12 and len(FeatureStore(tmp_path).ls()) == 3
    prints = {space_fingerprint(encoder, processor, tokens, kind) for tokens in (0, 1) for kind in ("a", "b")}
    assert len(prints) == 4


def test_broken_images_fail_alone(tmp_path: Path) -> None:
    images = [bytes([n, n + 1, n + 2, n + 3]) for n in range(1, 8)]
    images[2] = images[6] = b"bad one"
    keys = [key_of(image) for image in images]

    def load(index: int) -> bytes:
        if index == 4:
            raise FileNotFoundError("photos/4.jpg does not exist")
        return images[index]

    encoder = FakeEncoder()
    features, failures = encode_items(
        FeatureStore(tmp_path), encoder, FakeImage(), keys, load, batch_size=3, on_error="collect"
    )
    assert failures == {
        2: "SyntaxError: broken chunk",
        4: "photos/4.jpg does not exist",
        6: "SyntaxError: broken chunk",
    }
    assert features.is_present().tolist() == [True, True, False, True, False, True, False]
    batch = features.take(np.arange(7))["vector_BD"]
    good = [0, 1, 3, 5]
    assert batch[good].tolist() == sums([images[i] for i in good]) and not batch[[2, 4, 6]].any()
    with pytest.raises(ValueError, match=r"item 2 cannot be encoded: SyntaxError: broken chunk.*collect"):
        encode_items(FeatureStore(tmp_path), encoder, FakeImage(), keys, load)
    assert encoder.num_items == 4  # the good ones were kept


def test_broken_texts_fail_alone(tmp_path: Path) -> None:
    texts: list = ["fine", "nul\0", b"bytes", "also fine"]
    keys = [key_of(text) for text in texts]
    encoder = FakeEncoder()
    features, failures = encode_items(
        FeatureStore(tmp_path), encoder, FakeText(), keys, texts.__getitem__, on_error="collect"
    )
    assert failures == {1: "a text holds a NUL character", 2: "TypeError: expected a text, got bytes"}
    assert features.take(np.array([0, 3]))["vector_BD"].tolist() == sums(["fine", "also fine"])


def test_all_items_broken_and_absent_items(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    bad = b"bad"
    features, failures = encode_items(
        store, FakeEncoder(), FakeImage(), [key_of(bad), None], lambda i: bad, on_error="collect"
    )
    assert list(failures) == [0] and features.is_present().tolist() == [False, False]
    features, failures = encode_items(store, FakeEncoder(), FakeText(), [None, KEYS[1]], lambda i: "z")
    assert failures == {} and features.is_present().tolist() == [False, True]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the encoder broke")])
def test_interrupted_work_is_kept(tmp_path: Path, error: BaseException) -> None:
    texts = [f"text {n}" for n in range(100, 140)]
    keys = [key_of(text) for text in texts]
    encoder = FakeEncoder().train()
    encoder.fail_at, encoder.error = 4, error
    num_threads = threading.active_count()
    with pytest.raises(type(error)):
        encode_items(FeatureStore(tmp_path), encoder, FakeText(), keys, texts.__getitem__, batch_size=5)
    assert encoder.num_items == 15 and encoder.training and threading.active_count() == num_threads
    assert FeatureStore(tmp_path).ls()[0].num_items == 15
    encoder.fail_at = None
    features, _ = encode_items(FeatureStore(tmp_path), encoder, FakeText(), keys, texts.__getitem__, batch_size=5)
    assert encoder.num_items == 40
    assert features.take(np.arange(40))["vector_BD"].tolist() == sums(texts)


def test_flushes_along_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "FLUSH_ITEMS", 8)
    stored = []
    texts = [f"{n:03}" for n in range(20)]
    encode_items(
        FeatureStore(tmp_path),
        FakeEncoder(),
        FakeText(),
        [key_of(text) for text in texts],
        texts.__getitem__,
        batch_size=4,
        progress=lambda *_: stored.append(sum(info.num_items for info in FeatureStore(tmp_path).ls())),
    )
    assert stored == [0, 0, 8, 8, 16, 16] and FeatureStore(tmp_path).ls()[0].num_items == 20


def test_on_a_cpu_decoding_and_the_forward_take_turns(tmp_path: Path) -> None:
    """Eight batches are decoded, then encoded; the rest of the table waits."""
    decoded_during_forward = []
    num_decoded = 0
    lock = threading.Lock()
    images = [bytes([n, 1, 1, 1]) for n in range(1, 41)]

    def load(index: int) -> bytes:
        nonlocal num_decoded
        with lock:
            num_decoded += 1
        return images[index]

    class Slow(FakeEncoder):
        def forward(self, input_ids: torch.Tensor) -> object:
            time.sleep(0.05)
            decoded_during_forward.append(num_decoded)
            return super().forward(input_ids)

    keys = [key_of(image) for image in images]
    features, _ = encode_items(FeatureStore(tmp_path), Slow(), FakeImage(), keys, load, batch_size=4)
    assert decoded_during_forward == [32] * 8 + [40] * 2
    assert features.take(np.arange(40))["vector_BD"].tolist() == sums(images)


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    class Overflow(FakeEncoder):
        def forward(self, input_ids: torch.Tensor) -> object:
            encoded = super().forward(input_ids)
            encoded.vector_BD[input_ids[:, 0] == ord("n")] = torch.nan
            encoded.tokens_BTD[input_ids[:, 0] == ord("z")] = 1e5
            return encoded

    features, failures = encode_items(
        FeatureStore(tmp_path),
        Overflow(),
        FakeText(),
        KEYS,
        TEXTS.__getitem__,
        with_tokens=True,
        on_error="collect",
    )
    assert sorted(failures) == [1, 4, 5] and "NaN" in failures[4] and "float16" in failures[1]
    assert features.is_present().tolist() == [True, False, True, True, False, False]


def test_out_of_memory_halves_the_batch(tmp_path: Path) -> None:
    class Small(FakeEncoder):
        def forward(self, input_ids: torch.Tensor) -> object:
            if len(input_ids) > 2:
                raise torch.OutOfMemoryError("too large")
            return super().forward(input_ids)

    encoder = Small()
    features, _ = encode_items(FeatureStore(tmp_path), encoder, FakeText(), KEYS, TEXTS.__getitem__)
    assert encoder.num_items == 4 and features.take(np.arange(6))["vector_BD"].tolist() == sums(TEXTS)


def test_unwritable_store_fails_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    encoder = FakeEncoder()
    with pytest.raises(FeatureStoreError, match="PLAIT_CACHE"):
        encode_items(FeatureStore(tmp_path / "store"), encoder, FakeText(), KEYS, TEXTS.__getitem__)
    assert encoder.num_forwards == 0


@pytest.mark.parametrize("wrong", [{"on_error": "skip"}, {"batch_size": 0}, {"workers": -1}])
def test_wrong_arguments(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        encode_items(FeatureStore(tmp_path), FakeEncoder(), FakeText(), KEYS, TEXTS.__getitem__, **wrong)


@pytest.mark.gpu
def test_bfloat16_features_are_close_and_kept_apart(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    store = FeatureStore(tmp_path)
    for device in ("cpu", "cuda"):
        features, _ = encode_items(store, FakeEncoder(), FakeText(), KEYS, TEXTS.__getitem__, device=device)
        assert np.allclose(features.take(np.arange(6))["vector_BD"], sums(TEXTS), rtol=0.01)
    assert sorted(info.description["precision"] for info in store.ls()) == ["bfloat16", "float32"]


def test_texts_share_a_batch_with_texts_of_as_many_tokens_where_the_processor_counts_them(tmp_path: Path) -> None:
    """A text of few letters may have many tokens: an address beside a long word."""

    class Counting(FakeText):
        def count_tokens(self, texts: list[str]) -> list[int]:
            return [1 + text.count("/") for text in texts]

    processor, texts = Counting(), ["a/b/c", "photography", "d/e/f/g", "walks"]
    keys = [key_of(text) for text in texts]
    features, _ = encode_items(FeatureStore(tmp_path), FakeEncoder(), processor, keys, texts.__getitem__, batch_size=2)
    assert processor.batches == [["d/e/f/g", "a/b/c"], ["photography", "walks"]]
    assert features.take(np.arange(4))["vector_BD"].tolist() == sums(texts)
