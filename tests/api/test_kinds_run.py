"""Sounds, vectors, sets of images and shared encoders, from a table to a saved model."""

from __future__ import annotations

import csv
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.media import red_or_blue
from fixtures.settings import QUICK
from plait import cli
from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.schema import guess_schema
from plait.data.table import read_table
from plait.encoders.checkpoint import quiet_transformers
from plait.encoders.vector import VectorEncoder
from plait.inputs.dataset import RowBatches
from plait.inputs.inputs import load_inputs
from plait.inputs.prepare import prepare
from plait.settings import EncoderSettings

hf = lazy("transformers")

sf = pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

N = 40
SETS = ["encoders.audio=scratch:audio", *QUICK]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 rows: a tone, a vector, one to three photos; "yes" where the tone is high."""
    folder = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N):
        high = bool(i % 2)
        samples = np.sin(2 * np.pi * (2500 if high else 300) * np.arange(2000 + 50 * i) / 8000) * 0.3
        sf.write(folder / f"{i}.wav", samples, 8000)
        for k in range(3):
            (folder / f"{i}_{k}.png").write_bytes(red_or_blue(high, (i * 3 + k) % 200))
        vector = [round(float(v), 3) for v in rng.normal(5 if high else 4, 1, 3)]
        photos = ";".join(f"{i}_{k}.png" for k in range(1 + i % 3))
        split = "test" if i >= 32 else "val" if i >= 24 else "train"
        rows.append([f"{i}.wav", str(vector), photos, "yes" if high else "no", split])
    rows[1][0], rows[2][1], rows[3][2] = "", "", ""  # something is missing in the training rows
    with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["call", "feature", "photos", "label", "split"], *rows])
    return folder / "rows.csv"


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[plait.Plait, Path]:
    folder = tmp_path_factory.mktemp("kinds_model") / "model"
    return plait.fit(table, "label", audio="call", vector="feature", image_set="photos", epochs=2, output=folder,
                     set=[*SETS, "encoders.audio_seconds=0.4"]), folder  # fmt: skip


def test_columns_are_guessed(table: Path) -> None:
    schema = guess_schema(read_table(table), target="label")
    assert [(m.name, m.kind) for m in schema.modalities] == [
        ("call", "audio"), ("feature", "vector"), ("photos", "image_set"),
    ]  # fmt: skip


def test_a_saved_model_is_bit_equal(fitted: tuple[plait.Plait, Path], table: Path) -> None:
    model, folder = fitted
    assert model.predict(table).equals(plait.load(folder).predict(table))
    vectors = np.stack(read_rows(read_table(table), model.inputs.modalities).items["feature"].cells)
    encoder = model.model.encoders["1"]
    assert isinstance(encoder, VectorEncoder)
    cells = read_table(table).column("feature")[:24]
    train = np.array([np.array(eval(c)) for c in cells if c])  # noqa: S307  our own numbers
    assert torch.allclose(encoder.mean_D, torch.tensor(train.mean(0), dtype=torch.float32), atol=1e-5)
    assert torch.allclose(encoder.spread_D, torch.tensor(train.std(0), dtype=torch.float32), atol=1e-5)
    assert not np.allclose(vectors.mean(0), train.mean(0), atol=1e-4)  # not that of all rows


def test_the_report_tells_of_each_kind(fitted: tuple[plait.Plait, Path]) -> None:
    report = fitted[0].report["evaluation"]
    assert report["counts"]["call: clips cut"] == sum(2000 + 50 * i > 3200 for i in range(N) if i != 1)
    shown = {item["name"]: item for item in report["examples"][0]["inputs"]}
    assert shown["call"]["text"].endswith("Hz, mono)") and "s, 8,000" in shown["call"]["text"]
    assert shown["feature"]["text"] == "vector of 3 numbers" and shown["photos"]["image_jpeg_base64"]
    html = (fitted[1] / "report.html").read_text(encoding="utf-8")
    assert "8,000 Hz, mono" in html


def test_missing_columns_and_cells_are_predicted(fitted: tuple[plait.Plait, Path], table: Path) -> None:
    model = fitted[0]
    rows = [{"call": str(table.parent / "1.wav")}, {"call": str(table.parent / "gone.wav")}, {"call": None}]
    refused = model.predict(rows[:1]).to_pylist()[0]["problem"]
    assert "allow_outside=True" in refused  # of a table in memory, files under the current folder
    made = model.predict(rows, allow_outside=True).to_pylist()
    assert made[0]["prediction"] in ("yes", "no") and made[0]["problem"] is None
    assert "no such file" in made[1]["problem"] and "nothing to read" in made[2]["problem"]
    wide = model.predict([{"feature": [1.0, 2.0, 3.0, 4.0]}, {"feature": [1.0, 2.0, 3.0]}]).to_pylist()
    assert "has 4 numbers; expected 3" in wide[0]["problem"] and wide[1]["problem"] is None
    broken = model.predict([{"photos": [red_or_blue(True, 1), b"\x89PNG\r\n\x1a\nbad"]}, {"photos": []}]).to_pylist()
    assert "broken" in broken[0]["problem"] and "nothing to read" in broken[1]["problem"]


def test_explaining_encodes_sets_and_sounds_once(fitted: tuple[plait.Plait, Path], table: Path) -> None:
    found = fitted[0].explain(table, rows="all", permutations=1, emap_evaluations=500, examples=1)
    assert set(found["modalities"]) == {"call", "feature", "photos"}


def test_missing_content_changes_nothing(fitted: tuple[plait.Plait, Path], table: Path) -> None:
    model = fitted[0]
    prepared = prepare(read_table(table), model.inputs)
    batch = RowBatches(prepared.sources, prepared.rows.index_NM).__getitems__(list(range(8)))
    for m, name in enumerate(model.model.config.modality_names):
        batch["present"][:, m] = False
        with torch.inference_mode():
            first = model.model(batch["inputs"], batch["present"])["logits"]
            changed = {k: t.flip(0) if t.dtype == torch.bool else t * 3 + 1 for k, t in batch["inputs"][name].items()}
            second = model.model({**batch["inputs"], name: changed}, batch["present"])["logits"]
        assert torch.equal(first, second), name
        batch["present"][:, m] = True


@pytest.mark.parametrize("tuning", ["live", "frozen"])
def test_the_order_of_a_set_says_nothing(fitted: tuple[plait.Plait, Path], tuning: str, cache: Path) -> None:
    model = fitted[0]
    if tuning == "frozen":  # the same encoder outside the model, through the feature store
        encoder, processor = model.inputs.live["photos"], model.inputs.processors["photos"]
        inputs = plait.inputs.inputs.Inputs(
            (Modality("photos", "image_set", ("photos",)),), {"photos": processor}, {"photos": encoder.eval()}, {},
            {}, True, 10**6,
        )  # fmt: skip
    photos = [red_or_blue(True, 1), red_or_blue(False, 2), red_or_blue(True, 3)]
    cells = [photos, photos[::-1], [photos[1], photos[2], photos[0]], photos[:1], [photos[0], photos[0]], None]
    rows = read_table({"photos": cells})
    if tuning == "live":
        made = model.predict(rows).column("probability").to_pylist()
        assert made[0] == made[1] == made[2] and made[3] == pytest.approx(made[4], abs=1e-6) and made[0] != made[3]
        return
    taken = prepare(rows, inputs).sources["photos"].take(np.array([0, 1, 2, -1]))
    assert taken["tokens_BTD"].shape[:2] == (4, 3) and taken["mask_BT"].sum(1).tolist() == [3, 1, 2, 0]
    assert torch.allclose(taken["vector_BD"][0], taken["tokens_BTD"][0].mean(0), atol=1e-6)
    assert not taken["vector_BD"][3].any()


def test_frozen_encoders_read_sets_and_sounds_through_the_store(table: Path, tmp_path: Path, cache: Path) -> None:
    import transformers as hf

    from plait.encoders.checkpoint import quiet_transformers

    torch.manual_seed(0)
    conv = {"conv_dim": (8,), "conv_stride": (160,), "conv_kernel": (400,), "num_feat_extract_layers": 1}
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with quiet_transformers():
        hf.ResNetModel(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
                       ).save_pretrained(tmp_path / "image")  # fmt: skip
        hf.HubertModel(hf.HubertConfig(**small, **conv, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)
                       ).save_pretrained(tmp_path / "audio")  # fmt: skip
    sets = ["train.threads=1", "train.baselines=false", f"encoders.image=hf:{tmp_path / 'image'}",
            f"encoders.audio=hf:{tmp_path / 'audio'}", "encoders.image_size=32"]  # fmt: skip
    model = plait.fit(table, "label", audio="call", vector="feature", image_set="photos", fusion="cross_attention",
                      epochs=1, set=sets, output=tmp_path / "model")  # fmt: skip
    assert set(model.inputs.frozen) == {"call", "photos"} and list(model.model.encoders) == ["1"]
    assert [m["token_dim"] for m in model.model.config.modalities] == [16, 8, 16]
    assert plait.load(tmp_path / "model").predict(table).equals(model.predict(table))


def test_the_command_line_takes_every_kind(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    sets = [word for one in SETS for word in ("--set", one)]
    words = ["plait", "fit", str(table), "--target", "label", "--audio", "call", "--vector", "feature", "--image-set",
             "photos", "--epochs", "1", "--quiet", *sets, "-o", str(tmp_path / "model")]  # fmt: skip
    for argv, code in ((words, 0), (["plait", "check", str(table), "--target", "label"], 0)):
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert (stopped.value.code or 0) == code
    shown = capsys.readouterr().out
    assert "call     input    audio" in shown and "P036 rows without a sound" in shown
    schema = json.loads((tmp_path / "model" / "schema.json").read_text(encoding="utf-8"))
    assert [c["reason"] for c in schema["columns"][:3]] == ["named by the user"] * 3


def two_columns(shared: bool) -> tuple[plait.Plait, list[dict[str, Any]]]:
    rows = [{"front": red_or_blue(bool(i % 2), i), "back": red_or_blue(bool(i % 2), 60 + i), "label": "ab"[i % 2],
             "split": "train" if i < 24 else "val"} for i in range(32)]  # fmt: skip
    return plait.fit(rows, "label", epochs=1, set=[*SETS, f"encoders.shared={str(shared).lower()}"]), rows


def test_shared_encoders_are_one(tmp_path: Path) -> None:
    apart, _ = two_columns(False)
    assert list(apart.model.encoders) == ["0", "1"]
    model, rows = two_columns(True)
    assert list(model.model.encoders) == ["0"] and model.model.config.modalities[1]["shares"] == "front"
    model.save(tmp_path / "model")
    assert not any(k.startswith("encoders.1.") for k in model.model.state_dict())
    assert plait.load(tmp_path / "model").predict(rows).equals(model.predict(rows))


def test_both_columns_teach_the_shared_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.training import build_model

    kept: list[Any] = []
    monkeypatch.setattr(
        "plait.training.fit.build_model", lambda plan, names: kept.append(plan) or build_model(plan, names)
    )
    model, _ = two_columns(True)
    plan = kept[0]
    batch = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM, plan.target).__getitems__([0, 1, 2, 3])
    gradients = []
    for hidden in (0, 1):
        present = batch["present"].clone()
        present[:, hidden] = False
        model.model.zero_grad()
        model.model(batch["inputs"], present, batch["target"])["loss"].backward()
        gradients.append(sum(float(p.grad.abs().sum()) for p in model.model.encoders["0"].parameters()))
    assert min(gradients) > 1e-6
    alone = build_model(plan, ["back"])  # a baseline of the second column has the encoder itself
    assert list(alone.encoders) == ["0"] and "shares" not in alone.config.modalities[0]


def test_sequences_of_vectors_reach_the_fusion_as_tokens() -> None:
    rng = np.random.default_rng(0)
    rows = [{"steps": (rng.normal(3 * (i % 2), 1, (1 + i % 4, 5))).tolist(), "label": "ab"[i % 2],
             "split": "train" if i < 40 else "val" if i < 50 else "test"} for i in range(60)]  # fmt: skip
    model = plait.fit(rows, "label", vector="steps", fusion="self_attention", epochs=8, set=["train.threads=1"])
    assert model.report["evaluation"]["metrics"]["accuracy"]["value"] >= 0.9
    assert model.model.config.modalities[0]["token_dim"] == 12


def test_without_the_extra_the_message_says_what_to_install(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=r"pip install plait\[audio\]"):
        plait.fit(table, "label", audio="call", epochs=1, set=SETS)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_sounds_are_learned(shared_data: Path) -> None:
    rows = read_table(shared_data / "esc10-sounds" / "sounds.csv")
    fold = ["test" if f == 2 else "train" for f in rows.column("fold")]
    model = plait.fit(rows.with_column("split", fold), "label", audio="audio", epochs=25,
                      set=["encoders.audio=scratch:audio", "train.threads=1", "data.ignore=[fold]"])  # fmt: skip
    assert model.report["evaluation"]["metrics"]["accuracy"]["low"] > 0.1  # chance


def test_one_column_has_an_encoder_of_its_own(tmp_path: Path) -> None:
    rows = {
        "title": ["red car", "blue sea"] * 20, "body": ["fast", "wet"] * 20, "label": ["a", "b"] * 20,
        "split": ["train"] * 24 + ["val"] * 8 + ["test"] * 8,
    }  # fmt: skip
    fitted = plait.fit(
        rows, "label", text=["title", "body"], split="split", epochs=1, output=tmp_path / "m",
        set=["encoders.columns.body=scratch:text", f"encoders.text={_bert(tmp_path)}", *SETS[4:]],
    )  # fmt: skip
    assert set(fitted.inputs.frozen) == {"title"} and set(fitted.inputs.live) == {"body"}
    assert "columns:\n    body: scratch:text" in (tmp_path / "m" / "run.yaml").read_text(encoding="utf-8")
    again = plait.load(tmp_path / "m")
    assert np.array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_columns_of_one_reference_share_a_frozen_encoder_and_others_do_not(tmp_path: Path) -> None:
    bert = _bert(tmp_path)
    named = (Modality("a", "text", ("a",)), Modality("b", "text", ("b",)), Modality("c", "text", ("c",)))
    settings = EncoderSettings(text=bert, columns={"c": _bert(tmp_path / "other", seed=1)})
    inputs = load_inputs(named, settings, with_tokens=False, max_pixels=10**6)
    assert inputs.frozen["a"] is inputs.frozen["b"]
    assert inputs.frozen["c"].fingerprint != inputs.frozen["a"].fingerprint
    assert inputs.references["c"]["reference"] != inputs.references["a"]["reference"] == bert


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"lable": "minilm"}, "Known: a"), ({"a": 3}, "a must be the reference"), ({"n": "minilm"}, "unknown column")],
)
def test_encoders_of_wrong_columns_are_refused(columns: dict[str, Any], said: str) -> None:
    named = (Modality("a", "text", ("a",)), Modality("tabular", "tabular", ("n",)))
    with pytest.raises(ValueError, match=said):
        load_inputs(named, EncoderSettings(text="scratch:text", columns=columns), with_tokens=False, max_pixels=1000)


def _bert(folder: Path, seed: int = 0) -> str:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "car", "blue", "sea", "fast", "wet"]
    place = folder / "bert"
    place.mkdir(parents=True)
    (place / "vocab.txt").write_text("\n".join(words))
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    torch.manual_seed(seed)
    config = hf.BertConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    with quiet_transformers():
        hf.BertModel(config).save_pretrained(place)
    return f"hf:{place}"
