"""Every fusion, kind of answer and kind of column exported, compared with the model; a place without PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.fusion_variants import count_for
from fixtures.lazy import lazy
from fixtures.settings import SCRATCH
from fixtures.tiny_models import VECTOR_DIMS, make_batch, make_model, shake
from plait.fusion import FUSIONS

pytest.importorskip("onnx", reason="extra onnx")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")

onnx_file, members, parity = (lazy(f"plait.api.exporting.{name}") for name in ("onnx_file", "members", "parity"))
reader = lazy("plait.api.exporting.reader")
QUICK = ("weighted_sum", "late_stacking")
CASES = [
    *(pytest.param(name, "mask", marks=() if name in QUICK else pytest.mark.slow) for name in FUSIONS.names()),
    pytest.param("co_attention", "learned", marks=pytest.mark.slow),  # it stands in front of every fusion alike
]


@pytest.mark.parametrize(("name", "absence"), CASES)
def test_every_fusion_answers_as_in_pytorch(name: str, absence: str, tmp_path: Path) -> None:
    count = count_for(name)
    network = shake(make_model({}, name, absence=absence)).eval()
    example = make_batch(count, repeat=1)
    inputs = {key: {k: t[:3] for k, t in tensors.items()} for key, tensors in example["inputs"].items()}
    free = {key: ((1,) if key[1] != "vector_BD" else ()) for key in onnx_file.keys_of(inputs)}
    module = members.NetworkLogits(network, tuple(range(count)))
    onnx_file.write_onnx(module, inputs, example["present"][:3], tmp_path / "fusion.onnx", "logits", free)
    session = onnx_file.open_session(tmp_path / "fusion.onnx")
    bound = parity.BOUNDS.get(name, parity.BOUND)
    for rows, length in ((1, 1), (2, 3), (5, 6), (9, 2)):
        made = make_batch(count, repeat=5, seed=rows)
        batch = {
            f"m{m}": {
                "vector_BD": made["inputs"][f"m{m}"]["vector_BD"][:rows],
                "tokens_BTD": torch.randn(rows, length + m, 4),
                "mask_BT": torch.arange(length + m)[None] < 1 + torch.arange(rows)[:, None] % (length + m),
            }
            for m in range(count)
        }
        present = made["present"][:rows] if rows > 1 else made["present"][1:2]
        found = onnx_file.run_session(session, batch, present)
        with torch.no_grad():
            expected = network(batch, present)["logits"].softmax(1)
        assert float((torch.from_numpy(found).softmax(1) - expected).abs().max()) <= bound
        assert np.array_equal(found, onnx_file.run_session(session, parity.spoil(batch, present), present))
    assert len(VECTOR_DIMS) >= count


def odd_table(folder: Path, kind: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows with the columns of one kind and a target that goes with it, and what ``fit`` is told of them."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(6):
        Image.new("RGB", (40, 24), (40 * i, 90, 255 - 40 * i)).save(folder / f"{i}.png")
    rows = []
    for i in range(120):
        size = float(rng.normal())
        rows.append({
            "size": None if i % 7 == 0 else size, "kind": "abc"[i % 3], "when": f"2024-{1 + i % 12:02d}-05",
            "vec": rng.normal(size=5).tolist() if i % 5 else None,
            "words": f"day {'sunny' if size > 0 else 'grey'} {i % 4}",
            "photos": [str(folder / f"{j}.png") for j in range(i % 3)],
            "price": float(np.exp(size + rng.normal() / 9) * 100), "tags": ["x"] * (size > 0) + ["y"] * (i % 2),
            "label": ["\u662f", "\u5426", "\U0001f600"][(size > 0) + (i % 10 == 0)], "yes": "yes" if size > 0 else "no",
        })  # fmt: skip
    told: dict[str, dict[str, Any]] = {
        "log": {"target": "price", "set": ["task.transform=log"]},
        "quantile": {"target": "price", "set": ["task.transform=quantile"]},
        "labels": {"target": "tags", "task": "multilabel"},
        "calibrated": {"target": "yes", "calibration": 0.4},
        "classes": {"target": "label"},
    }
    return rows, told[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["log", "quantile", "labels", "calibrated", "classes"])
def test_every_kind_of_answer(kind: str, tmp_path: Path) -> None:
    rows, told = odd_table(tmp_path, kind)
    targets = {"price", "tags", "label", "yes"} - {told["target"]}
    settings = [*SCRATCH, "encoders.image_size=16", *told.pop("set", [])]
    model = plait.fit(
        rows, ignore=sorted(targets), numeric=["size"], categorical=["kind"], date=["when"], vector=["vec"], epochs=2,
        image_set=["photos"], text=["words"], allow_outside=True, set=settings, **told,
    )  # fmt: skip
    if model.ensemble is not None:
        model.ensemble.weights_PK[:] = 1 / model.ensemble.weights_PK.shape[1]
    told = plait.export(model, tmp_path / "out", check=rows, allow_outside=True)
    assert told["random"]["largest_difference"] <= told["random"]["bound"]
    answers = reader.Model(tmp_path / "out", allow_outside=True).predict(rows[:9])
    expected = model.predict(rows[:9], allow_outside=True).column("prediction").to_pylist()
    found = [answer["prediction"] for answer in answers]
    assert found == expected if kind in ("labels", "calibrated", "classes") else found == pytest.approx(expected, 1e-5)


@pytest.mark.slow
@pytest.mark.real
def test_real_encoders_and_eight_bits(tmp_path: Path, posts: Path) -> None:
    settings = ["preset=single", "fusion.name=co_attention", "train.threads=1"]
    try:
        model = plait.fit(posts, "label", epochs=2, set=settings)
    except ValueError as error:
        if "weights fetch" not in str(error):
            raise
        pytest.skip("pretrained weights are not here; plait weights fetch minilm efficientnet-lite0")
    told = plait.export(model, tmp_path / "out", check=posts, int8=True)
    assert told["check"]["largest_difference"] <= told["random"]["bound"] == 1e-4 and told["check"]["rows"] == 48
    assert told["int8"]["megabytes"] < 0.75 * told["megabytes"] and told["int8"]["scale_rows"] == 12
    assert told["int8"]["check"]["rows"] == 36 and told["int8"]["check"]["same_predictions"] > 0.8
    assert "49 convolutions" in told["int8"]["how"] and "36 matrix products dynamic" in told["int8"]["how"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.onnx")) == ["model.int8.onnx", "model.onnx"]
    inputs = json.loads((tmp_path / "out" / "plait.json").read_text("utf-8"))["modalities"]
    assert (tmp_path / "out" / inputs[0]["tokenizer"]).is_file()


@pytest.mark.slow
def test_example_in_an_environment_of_its_own(tmp_path: Path, posts: Path, posts_model: Path) -> None:
    """onnxruntime, numpy and Pillow alone, installed anew; there is no torch to import."""
    uv = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
    made = subprocess.run([*uv, "venv", str(tmp_path / "venv")], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"uv is not there: {made.stderr[-200:]}")
    told = plait.export(posts_model, tmp_path / "out")
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"
    command = [*uv, "pip", "install", "--python", str(python), "-c", str(constraints), *told["packages"]]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"the package index cannot be reached: {installed.stderr[-200:]}")
    assert subprocess.run([str(python), "-c", "import torch"], capture_output=True, check=False).returncode
    example = [str(python), str(tmp_path / "out" / "example.py"), str(posts)]
    done = subprocess.run(example, capture_output=True, text=True, check=True, encoding="utf-8")
    answers = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert answers == plait.load(posts_model).predict(posts).column("prediction").to_pylist()
