"""Folders of sentence-transformers: pooling, dense layers and unit length as the library has them, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_architectures import ARCHITECTURES, LENGTH

from plait.encoders import build_encoder, load_encoder
from plait.weights.quiet import quiet_transformers

TEXTS = ["red", "two brown dogs run over the green grass", "", "a man in a blue shirt " * 4]
TYPES = "sentence_transformers.models."
NEW = "sentence_transformers.base.modules.dense.Dense"
OLD_LAST = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
DENSE = {"in_features": 32, "out_features": 12, "bias": True}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet_transformers():
        return ARCHITECTURES["bert"].save(tmp_path_factory.mktemp("bert"))


def declare(bare: Path, folder: Path, pooling: dict[str, Any], *behind: str, dense: dict[str, Any] = DENSE) -> Path:
    """A folder of sentence-transformers around a bare network."""
    for file in bare.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    kinds = [TYPES + "Transformer", TYPES + "Pooling", *behind]
    paths = ["", *(f"{n}_{kind.rpartition('.')[2]}" for n, kind in enumerate(kinds[1:], 1))]
    listed = [{"idx": n, "name": str(n), "path": p, "type": k} for n, (p, k) in enumerate(zip(paths, kinds))]  # noqa: B905
    (folder / "modules.json").write_text(json.dumps(listed))
    settings = {"max_seq_length": LENGTH, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    for kind, path in zip(kinds[1:], paths[1:], strict=True):
        (folder / path).mkdir()
        own = {"Pooling": {"word_embedding_dimension": 32, **pooling}, "Dense": dense}
        (folder / path / "config.json").write_text(json.dumps(own.get(kind.rpartition(".")[2], {})))
        if kind.endswith("Dense"):
            torch.manual_seed(3)
            layer = torch.nn.Linear(dense["in_features"], dense["out_features"])
            save_file({f"linear.{k}": v for k, v in layer.state_dict().items()}, folder / path / "model.safetensors")
    return folder


CASES = [
    ({"pooling_mode_mean_tokens": True}, ()),
    ({"pooling_mode_cls_token": True}, ()),
    ({"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, ()),
    (OLD_LAST, ()),
    ({"pooling_mode_mean_tokens": False, "pooling_mode_mean_sqrt_len_tokens": True}, ()),
    ({"pooling_mode_weightedmean_tokens": True}, ()),
    ({"pooling_mode": "lasttoken"}, (TYPES + "Normalize",)),
    ({"pooling_mode": ["mean", "max"]}, ()),
    ({"pooling_mode_mean_tokens": True}, (TYPES + "Dense",)),
    ({"pooling_mode_mean_tokens": True}, (TYPES + "Normalize", NEW, TYPES + "Normalize")),
]


@pytest.mark.oracle
@pytest.mark.parametrize(("pooling", "behind"), CASES)
def test_declared_modules_are_followed(
    pooling: dict[str, Any], behind: tuple[str, ...], bare: Path, tmp_path: Path
) -> None:
    library = pytest.importorskip("sentence_transformers", reason="extra dev")
    folder = declare(bare, tmp_path, pooling, *behind)
    with quiet_transformers():
        theirs = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS, convert_to_tensor=True)
    encoder, processor = load_encoder(f"hf:{folder}", "text", max_length=LENGTH)
    with torch.inference_mode():
        batch = encoder(**processor.process(TEXTS)).vector_BD
        alone = torch.cat([encoder(**processor.process([text])).vector_BD for text in TEXTS])
    assert encoder.vector_dim == batch.shape[1]
    assert torch.allclose(batch, theirs, atol=1e-5) and torch.allclose(batch, alone, atol=1e-5)
    rebuilt = build_encoder(json.loads(json.dumps(encoder.config())))
    rebuilt.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        assert torch.equal(rebuilt(**processor.process(TEXTS)).vector_BD, batch)


def test_fingerprints_change_where_the_reading_changes_the_vector(bare: Path, tmp_path: Path) -> None:
    def print_of(name: str, pooling: dict[str, Any], *behind: str) -> str:
        (tmp_path / name).mkdir()
        return load_encoder(f"hf:{declare(bare, tmp_path / name, pooling, *behind)}", "text")[0].fingerprint

    plain = load_encoder(f"hf:{bare}", "text")[0].fingerprint
    # a closing norm behind a mean turns no vector: what is stored stays valid
    assert print_of("norm", {"pooling_mode_mean_tokens": True}, TYPES + "Normalize") == plain
    others = {print_of("last", OLD_LAST), print_of("dense", {}, TYPES + "Dense")}
    assert len(others | {plain}) == 3


@pytest.mark.parametrize(
    ("pooling", "behind", "dense", "words"),
    [
        ({}, ("sentence_transformers.models.LSTM",), DENSE, "LSTM.*does not follow"),
        ({"pooling_mode": "attention"}, (), DENSE, "asks for the pooling 'attention'; known: mean"),
        ({}, (TYPES + "Dense",), {**DENSE, "activation_function": "own.Swish"}, "its activation is 'Swish'"),
        ({}, (TYPES + "Dense",), {**DENSE, "in_features": 9}, "does not fit|cannot be used"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    pooling: dict[str, Any], behind: tuple[str, ...], dense: dict[str, Any], words: str, bare: Path, tmp_path: Path
) -> None:
    folder = declare(bare, tmp_path, pooling, *behind, dense=dense)
    with pytest.raises(ValueError, match=words):
        load_encoder(f"hf:{folder}", "text")
