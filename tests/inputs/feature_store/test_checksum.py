"""Damaged stored items: found where they are used, dropped alone, encoded again and counted; never handed out."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from fixtures.fake_features import FakeEncoder, FakeText, key_of
from plait.inputs.feature_store import FeatureStore, encode_items

TEXTS = [f"text number {n}" for n in range(30)]
KEYS = [key_of(text) for text in TEXTS]
VECTORS = [[float(sum(map(ord, text))), float(len(text)), 1.0] for text in TEXTS]


def encode(root: Path, encoder: FakeEncoder) -> list:
    features, failures = encode_items(
        FeatureStore(root), encoder, FakeText(), KEYS, TEXTS.__getitem__, with_tokens=True
    )
    assert failures == {}
    batch = features.take(np.arange(len(KEYS)))
    lengths = batch["mask_BT"].sum(1).tolist()
    assert lengths == [len(text) for text in TEXTS]
    codes = [row[: len(text), 0].int().tolist() for row, text in zip(batch["tokens_BTD"], TEXTS, strict=True)]
    assert codes == [list(map(ord, text)) for text in TEXTS]
    return batch["vector_BD"].tolist()


def segment_of(root: Path) -> Path:
    (path,) = root.glob("*/seg-*")
    return path


def flip(path: Path, byte: int, bit: int = 0) -> None:
    """One bit, without a change of the size."""
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


def forget_checksums(segment: Path) -> None:
    """The segment as Plait wrote it before items had checksums."""
    meta = json.loads((segment / "meta.json").read_text())
    del meta["row_crc32"]
    (segment / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("name", ["vectors.npy", "tokens.npy"])
@pytest.mark.parametrize(("byte", "bit"), [(-1, 0), (-7, 6), (130, 3), (-40, 7)])
def test_a_flipped_bit_costs_its_own_item_only(
    tmp_path: Path, name: str, byte: int, bit: int, caplog: pytest.LogCaptureFixture
) -> None:
    encode(tmp_path, FakeEncoder())
    flip(segment_of(tmp_path) / name, byte, bit)
    encoder = FakeEncoder()
    with caplog.at_level(logging.WARNING):
        assert encode(tmp_path, encoder) == VECTORS
    assert encoder.num_items == 1
    assert [record.getMessage()[:18] for record in caplog.records] == ["1 stored feature i"]
    caplog.clear()
    with caplog.at_level(logging.WARNING):  # the sound copy serves from now on
        assert encode(tmp_path, encoder) == VECTORS
    assert encoder.num_items == 1 and not caplog.records


def test_several_damaged_items_make_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encode(tmp_path, FakeEncoder())
    for byte in (-1, -13, -25):  # three rows of three float32
        flip(segment_of(tmp_path) / "vectors.npy", byte)
    encoder = FakeEncoder()
    with caplog.at_level(logging.WARNING):
        assert encode(tmp_path, encoder) == VECTORS
    assert encoder.num_items == 3 and len(caplog.records) == 1 and "3 stored features" in caplog.text


@pytest.mark.parametrize("name", ["vectors.npy", "tokens.npy"])
def test_a_store_without_checksums_of_items_is_used_and_checked_as_whole_files(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    encode(tmp_path, FakeEncoder())
    forget_checksums(segment_of(tmp_path))
    encoder = FakeEncoder()
    assert encode(tmp_path, encoder) == VECTORS and encoder.num_items == 0
    flip(segment_of(tmp_path) / name, -1)
    with caplog.at_level(logging.WARNING):
        assert encode(tmp_path, encoder) == VECTORS
    assert encoder.num_items == 30 and len(caplog.records) == 1 and "30 stored features" in caplog.text


def test_every_byte_of_a_segment_may_flip(tmp_path: Path) -> None:
    """Whatever byte is hit, heads and meta.json included, the values are right."""
    encode(tmp_path, FakeEncoder())
    for file in sorted(segment_of(tmp_path).iterdir()):
        whole = file.read_bytes()
        for byte in range(0, len(whole), max(1, len(whole) // 60)):
            flip(file, byte, byte % 8)
            store = FeatureStore(tmp_path)
            (folder,) = store.folders()
            space = store.space("x", {})
            space.folder = folder
            gone = space.missing(KEYS)
            kept = [n for n in range(30) if n not in gone]
            if kept:
                batch = space.gather([KEYS[n] for n in kept]).take(np.arange(len(kept)))
                assert batch["vector_BD"].tolist() == [VECTORS[n] for n in kept], (file.name, byte)
            store.ls()
        file.write_bytes(whole)
    assert encode(tmp_path, FakeEncoder()) == VECTORS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("name", ["meta.json", "vectors.npy", "keys.npy", "tokens.npy", "offsets.npy"])
@pytest.mark.parametrize("what", ["pipe", "folder", "nested", "empty"])
@pytest.mark.timeout(20)
def test_something_else_in_place_of_a_file(tmp_path: Path, name: str, what: str) -> None:
    encode(tmp_path, FakeEncoder())
    file = segment_of(tmp_path) / name
    file.unlink()
    if what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    else:
        file.write_text("[" * 100_000 if what == "nested" else "")
    encoder = FakeEncoder()
    assert encode(tmp_path, encoder) == VECTORS and encoder.num_items == 30
    store = FeatureStore(tmp_path)
    assert (store.ls()[0].num_items, store.ls()[0].num_damaged) == (30, 1)
    assert len(store.verify().problems) == 1 and store.gc().num_damaged_removed == 1
    assert store.verify().is_sound and encode(tmp_path, encoder) == VECTORS and encoder.num_items == 30


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_pipes_beside_the_segments(tmp_path: Path) -> None:
    encode(tmp_path, FakeEncoder())
    (folder,) = FeatureStore(tmp_path).folders()
    for name in ("space.json", "last-used", "seg-x", "tmp-x"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    encoder = FakeEncoder()
    assert encode(tmp_path, encoder) == VECTORS and encoder.num_items == 0
    store = FeatureStore(tmp_path)
    assert store.ls()[0].description == {"unknown": "space.json is missing or broken"}
    assert store.gc().num_damaged_removed == 1 and not (folder / "seg-x").exists()
