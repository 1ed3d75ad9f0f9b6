"""Damage to a model folder is noticed and named in one line: flipped bits, zeroes, NaN, wrong types, no files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.small_model import classes, contents, edit, numbers, rewritten

safetensors = lazy("safetensors.torch")
torch = lazy("torch")
network_file = lazy("plait.api.network_file")


def test_every_single_flipped_bit_of_a_file_is_noticed(place: Path) -> None:
    draw = np.random.default_rng(0)
    for name, data in contents(place).items():
        if name in ("report.html", "history.csv", "README.md", "manifest.json"):
            continue
        for at in draw.integers(0, len(data), 3):
            made = bytearray(data)
            made[at] ^= 1 << int(draw.integers(8))
            (place / name).write_bytes(made)
            with pytest.raises(ValueError, match=f"{name} is not what was saved"):
                plait.load(place)
        (place / name).write_bytes(data)
    plait.load(place)


def test_zeroed_weights_and_weights_of_another_model_are_noticed(
    place: Path, other: plait.Plait, tmp_path: Path
) -> None:
    data = (place / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    (place / "model.safetensors").write_bytes(data[:header] + bytes(len(data) - header))
    assert not any(v.any() for v in safetensors.load_file(place / "model.safetensors").values())
    with pytest.raises(ValueError, match=r"model\.safetensors is not what was saved \(sha256"):
        plait.load(place)
    (place / "model.safetensors").write_bytes((other.save(tmp_path / "o") / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"model\.safetensors is not what was saved"):
        plait.load(place)


def test_what_is_for_people_may_be_edited_and_more_may_lie_there(place: Path) -> None:
    (place / "report.html").unlink()
    (place / "notes.txt").write_text("more")
    (place / "companions" / "07").mkdir(parents=True)
    (place / "companions" / "07" / "modality.json").write_text("{")
    assert classes(place) == ("down", "up")


def test_a_missing_file_or_manifest_is_named(place: Path) -> None:
    (place / "manifest.json").rename(place / "m")
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        plait.load(place)
    (place / "m").rename(place / "manifest.json")
    (place / "processors" / "00" / "processor.json").unlink()
    with pytest.raises(ValueError, match=r"processors/00/processor\.json is missing"):
        plait.load(place)


def test_a_folder_of_an_older_version_is_taken_with_a_note(place: Path) -> None:
    (place / "manifest.json").unlink()
    edit(place / "inputs.json", lambda v: v.pop("format"))
    with pytest.warns(UserWarning, match="without a manifest"):
        assert classes(place) == ("down", "up")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "manifest.json", "processors/00/processor.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_at_once(name: str, kind: str, place: Path) -> None:
    path = place / name
    path.unlink()
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda p: os.symlink("/dev/zero", p)}[kind](path)
    with pytest.raises(ValueError, match=f"{path.name}: a {kind}"):
        plait.load(place)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda v: v["modalities"][0].update(vector_dim="x"), r"config\.json: modalities\[0\]\.vec"),
        ("config.json", lambda v: v["modalities"][0].update(vector_dim=2**70), r"modalities\[0\]\.vector_dim is"),
        ("config.json", lambda v: v["modalities"][0].update(kind="image"), r"disagree: modalities"),
        ("config.json", lambda v: v.update(num_outputs=3), r"num_outputs is 3 in the one and 2 in the other"),
        ("config.json", lambda v: v["fusion"].update(width=8), r"does not fit model\.safetensors"),
        ("config.json", lambda v: v.update(fusion=[]), r"config\.json: fusion is \[\]"),
        ("config.json", lambda v: v.update(task="no-such"), "no-such"),
        ("config.json", lambda v: v.update(task="regression"), "task.name"),
        ("inputs.json", lambda v: v["modalities"][0].update(name=None), r"inputs\.json: modalities\[0\]\.name is None"),
        ("inputs.json", lambda v: v["modalities"][0].update(columns=["other"]), r"inputs\.json and schema\.json disag"),
        ("inputs.json", lambda v: v.update(max_pixels=[[1]]), r"inputs\.json: max_pixels"),
        ("labels.json", lambda v: v.update(classes=["down"]), "num_outputs"),
        ("labels.json", lambda v: v.update(classes=["down", "down"]), "one class twice"),
        ("labels.json", lambda v: v.update(classes="down"), r"labels\.json: classes is 'down'"),
        ("labels.json", lambda v: v.update(std=0), r"labels\.json: std is 0"),
        ("labels.json", lambda v: v.pop("mean"), r"labels\.json: mean is missing"),
        ("schema.json", lambda v: v["columns"][0].update(kind=3), r"schema\.json"),
        ("report.json", lambda v: v.update(facts=[1]), r"report\.json"),
        ("processors/00/processor.json", lambda v: v["numeric"][0].update(mean="1"), r"numeric\[0\]\.mean is '1'"),
        ("processors/00/processor.json", lambda v: v["numeric"][0].update(name="other"), "disagree: columns is"),
        ("processors/00/processor.json", lambda v: v["categorical"][0]["values"].append("z"), "sizes of categories"),
        ("processors/00/processor.json", lambda v: v.update(type="image"), r"processor\.json .*size is missing"),
    ],
)  # fmt: skip
def test_values_of_a_wrong_type_or_that_disagree_are_named_in_one_line(
    name: str, change: Callable[[Any], Any], message: str, place: Path
) -> None:
    edit(place / name, change)
    rewritten(place)
    with pytest.raises(ValueError, match=message) as caught:
        plait.load(place)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(60)
def test_a_billion_layers_are_refused_and_not_built(place: Path) -> None:
    edit(place / "config.json", lambda v: v["fusion"].update(name="self_attention", options={"layers": 10**9}))
    with pytest.raises(ValueError, match="far more weights"):
        network_file.load_network(place)


def test_nan_weights_are_refused_at_save_and_at_load(place: Path, other: plait.Plait, tmp_path: Path) -> None:
    weights = safetensors.load_file(place / "model.safetensors")
    name = sorted(weights)[0]
    weights[name].view(-1)[0] = float("inf")
    safetensors.save_file(weights, place / "model.safetensors")
    rewritten(place)
    with pytest.raises(ValueError, match="NaN or infinite"):
        plait.load(place)
    broken = plait.load(other.save(tmp_path / "o"))
    with torch.no_grad():
        next(broken.model.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match=r"not saved.*learning_rate"):
        broken.save(tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    with pytest.raises(ValueError, match="NaN or infinite for"):
        with torch.no_grad():
            next(broken.model.head.parameters()).fill_(float("nan"))
        broken.ensemble = None  # the network itself is asked
        broken.predict(numbers(4))


def test_nan_weights_of_an_ensemble_are_refused_at_save_and_at_load(other: plait.Plait, tmp_path: Path) -> None:
    place = other.save(tmp_path / "o")
    name, weights = "ensemble/members.safetensors", safetensors.load_file(place / "ensemble" / "members.safetensors")
    key = next(key for key, tensor in sorted(weights.items()) if tensor.is_floating_point())
    weights[key].view(-1)[0] = float("nan")
    safetensors.save_file(weights, place / name)
    rewritten(place)
    with pytest.raises(ValueError, match=f"{key} are NaN"):
        plait.load(place)
    broken = plait.load(other.save(tmp_path / "p"))
    next(t for m in broken.ensemble.listed[1:] for t in m.state_dict().values() if t.is_floating_point()).fill_(
        float("nan")
    )
    with pytest.raises(ValueError, match="a member of its ensemble has weights that are NaN"):
        broken.save(tmp_path / "broken")


def test_a_report_over_a_file_of_the_model_is_refused(place: Path) -> None:
    before, model = contents(place), plait.load(place)
    for verb in (model.evaluate, model.explain):
        for name in ("", "report.html"):
            with pytest.raises(ValueError, match="would replace a file of the model"):
                verb({"text": ["x"], "label": ["cat"]}, rows="all", report=place / name)
        with pytest.raises(
            ValueError, match=r"config\.json, where the numbers of the report would go, is there already"
        ):
            verb({"text": ["x"], "label": ["cat"]}, rows="all", report=place / "config.html")
        with pytest.raises(ValueError, match="cannot write the report .* is no folder"):  # before the rows are read
            verb(place / "nowhere.csv", report=place / "config.json" / "report.html")
    assert contents(place) == before
    plait.load(place)
