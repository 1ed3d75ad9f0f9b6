"""Which engine encodes: by name, by numbers of items and what is stored; each in a space of its own; PyTorch where
OpenVINO cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.fake_features import FakeEncoder, FakeText, key_of
from plait.encoders import engine
from plait.encoders.engine import EngineError
from plait.inputs.feature_store import FeatureStore, encode_items, engine_choice, space_fingerprint
from plait.inputs.feature_store.engine_choice import Gain, chosen_engine

TEXTS = ["abc", "z", "hello there", "no"]
KEYS = [key_of(text) for text in TEXTS]
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenVINO counts as installed, and FakeEncoder as proven; two items pay for its start."""
    monkeypatch.setattr(engine, "is_installed", lambda: True)
    monkeypatch.setattr(engine_choice, "is_proven", lambda encoder: True)
    monkeypatch.setitem(engine_choice.GAINS, "text", Gain(0.5, 2))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    engine.forget()
    yield
    engine.forget()


class Twice:
    """Stands for OpenVINO: PyTorch's vectors, and how often it was asked; refuses where it is told to."""

    calls = 0
    reason: str | None = None

    def __init__(self, encoder: Any, with_tokens: bool, products: str = "float32") -> None:
        self.encoder, self.products = encoder, products

    def __call__(self, inputs: dict[str, torch.Tensor]) -> Any:
        type(self).calls += 1
        if self.reason is not None:
            raise EngineError(self.reason)
        return self.encoder(**inputs)


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> type[Twice]:
    made = type("Twice", (Twice,), {})
    monkeypatch.setattr("plait.inputs.feature_store.encode.OpenVinoForward", made)
    return made


def choose(asked: str, torch_lacks: int, openvino_lacks: int, lower_lack: int = 9, **changed: Any) -> str:
    given = {"kind": "text", "encoder": FakeEncoder(), "target": CPU, "with_tokens": False, **changed}
    lacking = {"torch": torch_lacks, "openvino": openvino_lacks}
    return chosen_engine(asked, lacking=lambda name: lacking.get(name, lower_lack), **given)


@pytest.mark.parametrize(
    ("torch_lacks", "openvino_lacks", "expected"),
    [
        (0, 0, "torch"), (0, 5, "torch"), (1, 1, "torch"), (2, 2, "openvino"), (5, 0, "openvino"), (1, 0, "openvino"),
        (3, 5, "torch"), (4, 5, "openvino"),
    ],
)  # fmt: skip
def test_auto_by_numbers_and_what_is_stored(torch_lacks: int, openvino_lacks: int, expected: str) -> None:
    assert choose("auto", torch_lacks, openvino_lacks) == expected


def test_more_threads_want_more_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert choose("auto", 7, 7) == "torch" and choose("auto", 8, 8) == "openvino"


def test_auto_without_the_package_on_a_gpu_for_sounds_and_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto", 99, 99, target=GPU) == "torch" and choose("auto", 99, 99, kind="audio") == "torch"
    monkeypatch.setattr(engine_choice, "is_proven", lambda encoder: False)
    assert choose("auto", 99, 99) == "torch" and choose("openvino", 99, 99) == "openvino"
    monkeypatch.setattr(engine_choice, "is_proven", lambda encoder: True)
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    assert choose("auto", 99, 99) == "torch"
    assert choose("auto", 99, 0) == "openvino"  # stored features need no engine


def test_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("torch", 99, 0) == "torch" and choose("openvino", 0, 1) == "openvino"
    assert choose("openvino", 9, 9, target=GPU) == "torch"
    with pytest.raises(EngineError, match="works on CPUs, and this encoder works on cuda"):
        choose("openvino", 9, 9, target=GPU, required=True)
    with pytest.raises(EngineError, match="sounds are left to PyTorch"):
        choose("openvino", 9, 9, kind="audio")
    with pytest.raises(
        ValueError, match="engine is 'onnx'; give auto, torch, openvino, openvino-bf16 or openvino-int8"
    ):
        choose("onnx", 9, 9)
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    with pytest.raises(EngineError, match=r'pip install "plait\[openvino\]"'):
        choose("openvino", 9, 9)


@pytest.mark.parametrize("named", ["openvino-bf16", "openvino-int8"])
def test_fewer_bits_are_chosen_by_name_alone_and_for_texts(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "multiplies_bfloat16", lambda: True)
    assert choose(named, 0, 0) == named
    assert choose(named, 9, 9, kind="image") == "openvino"
    assert choose("auto", 9, 9, 0) == "openvino" and choose("openvino", 9, 9, 0) == "openvino"
    with pytest.raises(EngineError, match="sounds are left to PyTorch"):
        choose(named, 9, 9, kind="audio")
    with pytest.raises(EngineError, match="works on CPUs"):
        choose(named, 9, 9, target=GPU, required=True)
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    assert choose(named, 9, 9, 0) == named  # stored features need no engine
    with pytest.raises(EngineError, match=r'pip install "plait\[openvino\]"'):
        choose(named, 9, 9)


def test_bfloat16_is_refused_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "multiplies_bfloat16", lambda: False)
    with pytest.raises(EngineError, match="no products of bfloat16"):
        choose("openvino-bf16", 9, 9)
    assert choose("openvino-bf16", 9, 9, 0) == "openvino-bf16"  # stored features need no processor either
    assert choose("openvino-int8", 9, 9) == "openvino-int8"


def encode(folder: Path, encoder: Any, asked: str, keys: list[str] = KEYS, **options: Any) -> Any:
    return encode_items(FeatureStore(folder), encoder, FakeText(), keys, TEXTS.__getitem__, engine=asked, **options)[0]


def test_a_space_of_its_own(tmp_path: Path, twice: type[Twice]) -> None:
    encoder = FakeEncoder()
    first = encode(tmp_path, encoder, "openvino")
    assert first.engine == "openvino" and twice.calls == 1 and encoder.num_items == 4
    assert encode(tmp_path, encoder, "auto").engine == "openvino" and encoder.num_items == 4  # read, not encoded
    other = encode(tmp_path, encoder, "torch")
    assert other.engine == "torch" and twice.calls == 1 and encoder.num_items == 8
    assert np.array_equal(first.take(np.arange(4))["vector_BD"], other.take(np.arange(4))["vector_BD"])
    assert encode(tmp_path, encoder, "auto").engine == "torch"  # both have all: PyTorch's
    prints = {space_fingerprint(encoder, FakeText(), False, engine=name) for name in engine_choice.ENGINES}
    assert len(prints) == 4 and space_fingerprint(encoder, FakeText(), False) in prints
    assert len(FeatureStore(tmp_path).ls()) == 2


def test_features_of_before_are_those_of_pytorch() -> None:
    """The fingerprint as it was before there were engines, written out."""
    import hashlib
    import json

    from plait.inputs.feature_store.segment import SEGMENT_VERSION

    parts = [SEGMENT_VERSION, FakeEncoder.fingerprint, FakeText.fingerprint, False, "float32"]
    assert space_fingerprint(FakeEncoder(), FakeText(), False) == hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def test_what_openvino_cannot_pytorch_encodes_and_it_is_said_once(
    tmp_path: Path, twice: type[Twice], caplog: pytest.LogCaptureFixture
) -> None:
    twice.reason = "the first batch: vectors differ by 2.0e-03 of their length"
    encoder = FakeEncoder()
    with caplog.at_level(logging.WARNING):
        found = [encode(tmp_path / str(i), encoder, asked) for i, asked in enumerate(["auto", "auto", "openvino"])]
    assert [one.engine for one in found] == ["torch"] * 3 and encoder.num_items == 12
    assert found[0].take(np.arange(4))["vector_BD"][1].tolist() == [122.0, 1.0, 1.0]
    said = [record.getMessage() for record in caplog.records if "OpenVINO" in record.getMessage()]
    assert said == ["FakeEncoder is encoded by PyTorch, not by OpenVINO: " + twice.reason]
    with pytest.raises(
        ValueError, match=r"cannot be encoded by OpenVINO: the first batch: vectors differ.*engine=auto"
    ):
        encode(tmp_path / "named", encoder, "openvino", engine_required=True)


def test_a_broken_item_is_no_fault_of_the_engine(tmp_path: Path, twice: type[Twice]) -> None:
    texts = ["abc", "bad\0", "no"]
    features, failures = encode_items(
        FeatureStore(tmp_path), FakeEncoder(), FakeText(), [key_of(t) for t in texts], texts.__getitem__,
        engine="openvino", on_error="collect",
    )  # fmt: skip
    assert list(failures) == [1] and features.engine == "openvino"
    assert features.is_present().tolist() == [True, False, True]
