"""Models that hear, exported: the folder's own reader and graph answer as the model does, whatever a cell holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.media import sound
from fixtures.settings import SCRATCH
from plait.data.modality import Modality

pytest.importorskip("onnx", reason="extra onnx")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")
pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

hf, torch = lazy("transformers"), lazy("torch")
description, parity, onnx_file = (
    lazy(f"plait.api.exporting.{name}") for name in ("description", "parity", "onnx_file")
)
reader = lazy("plait.api.exporting.reader")

RATE = 16_000
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONV = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip
HEARS = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": RATE, "do_normalize": True}
TINY: dict[str, Callable[[], Any]] = {
    "whisper": lambda: hf.WhisperModel(hf.WhisperConfig(
        vocab_size=20, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=50,
        max_target_positions=10, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )),
    "wav2vec2": lambda: hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SMALL, **CONV)),
    "hubert": lambda: hf.HubertModel(hf.HubertConfig(**SMALL, **CONV)),
    "wavlm": lambda: hf.WavLMModel(hf.WavLMConfig(**SMALL, **CONV)),
    "data2vec": lambda: hf.Data2VecAudioModel(hf.Data2VecAudioConfig(
        **SMALL, **{**CONV, "num_conv_pos_embeddings": 3}, conv_pos_kernel_size=5
    )),
}  # fmt: skip
MODELS: dict[str, tuple[str, list[str]]] = {
    "scratch, ensemble": ("scratch:audio", []),
    "wav2vec2": ("wav2vec2", ["preset=single"]),
    "whisper, ensemble": ("whisper", []),
    "whisper, short, tokens": ("whisper", ["preset=single", "fusion.name=co_attention", "encoders.audio_seconds=0.5"]),
    "hubert, trained": ("hubert", ["preset=single", "encoders.tuning=full"]),
    "wavlm, tokens": ("wavlm", ["preset=single", "fusion.name=co_attention"]),
    "data2vec": ("data2vec", ["preset=single"]),
}
QUICK = ("scratch, ensemble",)


@dataclass
class Exported:
    """A model, where it was exported to, what was told of it, and its training rows."""

    model: plait.Plait
    folder: Path
    told: dict[str, Any]
    root: Path


def tone(number: int, seconds: float, rate: int = RATE) -> np.ndarray:
    """Soft noise under a low or a high tone."""
    time_T = np.arange(round(seconds * rate)) / rate
    noise_T = 0.02 * np.random.default_rng(number).standard_normal(len(time_T))
    return (noise_T + 0.4 * np.sin(2 * np.pi * (400, 2500)[number % 2] * time_T)).astype(np.float32)


@pytest.fixture(scope="module", params=[
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS
])  # fmt: skip
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("heard")
    reference, settings = MODELS[request.param]
    if reference in TINY:
        torch.manual_seed(1)
        TINY[reference]().save_pretrained(root / "encoder")
        if reference != "whisper":
            (root / "encoder" / "preprocessor_config.json").write_text(json.dumps(HEARS))
        reference = f"hf:{root / 'encoder'}"
    if not any("audio_seconds" in one for one in settings):
        settings = [*settings, "encoders.audio_seconds=2"]
    rows = []
    for i in range(60):
        (root / f"{i}.wav").write_bytes(sound(tone(i, 0.1 + i % 7 / 10), subtype=("PCM_16", "FLOAT", "PCM_24")[i % 3]))
        rows.append({"\u94c3\u58f0": f"{i}.wav" if i % 9 else "", "size": i % 5, "label": ["low", "high"][i % 2]})
    table = root / "rows.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = plait.fit(
        table, "label", audio=["\u94c3\u58f0"], numeric=["size"], epochs=2,
        set=[*SCRATCH, f"encoders.audio={reference}", *settings],
    )  # fmt: skip
    if model.ensemble is not None:
        model.ensemble.weights_PK[:] = 1 / model.ensemble.weights_PK.shape[1]
    return Exported(model, root / "onnx", plait.export(model, root / "onnx", check=table), root)


def odd_cells(folder: Path) -> list[dict[str, Any]]:
    """Sounds of every form, and what is no sound."""
    files = {
        "mono8k.wav": sound(tone(1, 0.3, 8000), 8000, subtype="PCM_16"),
        "stereo24.wav": sound(np.stack([tone(1, 0.4), tone(2, 0.4)], axis=1), subtype="PCM_24"),
        "\u5b89\u9759.wav": sound(np.zeros(4000), subtype="PCM_16"), "u8.wav": sound(tone(3, 0.2), subtype="PCM_U8"),
        "one.wav": sound([0.25], subtype="PCM_16"), "none.wav": sound(np.zeros(0), subtype="PCM_16"),
        "cut.wav": sound(tone(4, 0.3), subtype="PCM_16")[:3000], "empty.wav": b"", "text.wav": b"no sound at all",
        "nan.wav": sound([0.1, np.nan], subtype="FLOAT"), "long.wav": sound(tone(5, 2.5, 8000), 8000),
        "cd.flac": sound(tone(6, 0.3, 44_100), 44_100, "FLAC"), "music.ogg": sound(tone(7, 0.5, 48_000), 48_000, "OGG"),
    }  # fmt: skip
    for name, data in files.items():
        (folder / name).write_bytes(data)
    cells = [*files, "gone.wav", "../outside.wav", None, "", files["u8.wav"],
             {"array": tone(8, 0.2).tolist(), "sampling_rate": RATE}]  # fmt: skip
    return [{"\u94c3\u58f0": cell, "size": i % 4 if i % 5 else None} for i, cell in enumerate(cells)]


def test_what_is_told(exported: Exported) -> None:
    told = exported.told
    bound = 1e-4 if "tokens" in str(exported.model.settings.fusion.name) or exported.model.inputs.with_tokens else 1e-5
    assert told["random"]["largest_difference"] <= told["random"]["bound"] == bound
    assert told["check"]["rows"] == 60 and told["check"]["largest_difference"] <= 1e-5
    assert told["check"]["same_predictions"] == 1 and told["check"]["plait"] == told["check"]["onnx"]
    assert told["packages"] == ["numpy", "onnxruntime"] and told["optional_packages"] == ["soundfile", "soxr"]
    facts = json.loads((exported.folder / "plait.json").read_text("utf-8"))
    assert facts["modalities"][0]["columns"] == ["\u94c3\u58f0"] and "example.wav" in facts["sha256"]
    assert "soxr" in (exported.folder / "README.md").read_text("utf-8")


def test_every_form_of_a_cell(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = odd_cells(tmp_path)
    expected = exported.model.predict(rows).to_pylist()
    found = reader.Model(exported.folder).predict(rows, batch_size=4)
    for one, other in zip(found, expected, strict=True):
        proba = [other["probability_high"], other["probability_low"]]
        assert [one["probabilities"][name] for name in ("high", "low")] == pytest.approx(proba, abs=1e-5)
        assert one["problem"] == other["problem"]
    assert sum(one["problem"] is not None for one in found) >= 7


def test_alone_and_together(exported: Exported) -> None:
    model = reader.Model(exported.folder, root=exported.root)
    rows = [{"\u94c3\u58f0": f"{i}.wav", "size": 1} for i in (1, 2, 3, 4)]
    together = model.outputs(rows)
    alone = np.concatenate([model.outputs([row]) for row in rows])
    assert np.abs(together - alone).max() <= 1e-6
    assert model.outputs([]).shape == (0, 2) and model.predict([]) == []
    if model.largest_batch == 1:
        with pytest.raises(ValueError, match="takes 1 row at a time"):
            model.feeds(rows)
        inputs, present = model.arrays(rows)
        feeds = {f"{m}.{k}": array for m, arrays in inputs.items() for k, array in arrays.items()} | {
            "present": present
        }
        wanted = {one.name for one in model.session.get_inputs()}
        mixed = model.session.run(None, {name: feeds[name] for name in wanted})[0]
        length_B = inputs["\u94c3\u58f0"]["mask_BT"].sum(1)
        assert np.array_equal(np.isnan(mixed).any(1), length_B < length_B.max())  # never something near
        with pytest.raises(ValueError, match="takes 1 row at a time"):
            model.feeds(rows)


def test_what_is_missing_changes_no_bit(exported: Exported) -> None:
    from plait.api.exporting.rows import random_rows

    session = onnx_file.open_session(exported.folder / "model.onnx")
    inputs, present_BM = random_rows(exported.model.inputs, 6, 4, seed=5)
    spoiled = parity.spoil(inputs, present_BM)
    assert bool(spoiled["\u94c3\u58f0"]["values"].isnan().any())
    clean = onnx_file.run_session(session, inputs, present_BM)
    assert np.isfinite(clean).all()
    assert np.array_equal(clean, onnx_file.run_session(session, spoiled, present_BM))


def test_a_package_that_is_not_there_is_named_with_the_row(exported: Exported, tmp_path: Path) -> None:
    odd_cells(tmp_path)
    model = reader.Model(exported.folder, root=tmp_path)
    rows = [{"\u94c3\u58f0": name, "size": 1} for name in ("u8.wav", "one.wav", "cd.flac")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "soundfile", None)
        assert len(model.predict(rows[:2])) == 2
        with pytest.raises(ImportError, match="row 2, '\u94c3\u58f0': .*; type: pip install soundfile$"):
            model.predict(rows, batch_size=1)
        table = tmp_path / "rows.csv"
        table.write_text("\u94c3\u58f0,size\nu8.wav,1\ntoo,many,fields\ncd.flac,2\n", encoding="utf-8")
        with pytest.raises(ImportError, match=r"row 2, "):
            model.predict_csv(table)
        patched.setitem(sys.modules, "soxr", None)
        with pytest.raises(ImportError, match=r"row 1, .* 8,000 to 16,000 .*; type: pip install soxr$"):
            model.predict([rows[0], {"\u94c3\u58f0": "mono8k.wav"}])


WITHOUT = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "plait", "pyarrow", "scipy", "soundfile", "soxr", "PIL"}:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_example_runs_with_two_packages(exported: Exported) -> None:
    example = exported.folder / "example.py"
    assert len([line for line in example.read_text("utf-8").splitlines() if line.strip()]) <= 30
    command = [sys.executable, "-c", WITHOUT, str(example)]
    alone = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, encoding="utf-8")
    assert json.loads(alone.stdout)["problem"] is None
    table = exported.root / "rows.csv"
    done = subprocess.run(
        [*command, str(table)], capture_output=True, text=True, check=True, timeout=60, encoding="utf-8"
    )
    answers = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert answers == exported.model.predict(table).column("prediction").to_pylist()


@pytest.mark.slow
def test_example_in_an_environment_of_its_own(exported: Exported, tmp_path: Path) -> None:
    """onnxruntime and numpy alone, installed anew."""
    uv = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    made = subprocess.run([*uv, "venv", str(tmp_path / "venv")], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"uv is not there: {made.stderr[-200:]}")
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"
    command = [*uv, "pip", "install", "--python", str(python), "-c", str(constraints), *exported.told["packages"]]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"the package index cannot be reached: {installed.stderr[-200:]}")
    table = exported.root / "rows.csv"
    example = [str(python), str(exported.folder / "example.py"), str(table)]
    done = subprocess.run(example, capture_output=True, text=True, check=True, encoding="utf-8")
    answers = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert answers == exported.model.predict(table).column("prediction").to_pylist()


@pytest.mark.parametrize("name", ["ASTFeatureExtractor", "ClapFeatureExtractor"])
def test_spectrograms_of_transformers_are_refused(name: str) -> None:
    from plait.processors import WaveformProcessor

    processor = WaveformProcessor({"feature_extractor_type": name})
    inputs = SimpleNamespace(modalities=(Modality("clip", "audio", ("clip",)),), processors={"clip": processor})
    with pytest.raises(ValueError, match=rf"'clip' are prepared by {name} of transformers.*encoders\.audio="):
        description.check_readable(inputs)
