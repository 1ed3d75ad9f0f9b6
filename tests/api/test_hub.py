"""Conventions of model hubs: Auto classes know a folder, names in the hub's cache, no private path in a folder."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.small_model import contents, fit, numbers

AutoConfig, AutoModel = lazy("transformers", "AutoConfig"), lazy("transformers", "AutoModel")
without_places = lazy("plait.api.places", "without_places")

COMMIT = "ab12" * 10
ORDERS = """
import sys
if sys.argv[1] == "late":
    from transformers import AutoConfig
import plait
assert ("torch" in sys.modules) == ("transformers" in sys.modules), "import plait is to cost nothing"
from transformers import AutoConfig, AutoModel
assert "plait.model" not in sys.modules
config = AutoConfig.from_pretrained(sys.argv[2])
from plait.model import PlaitConfig, PlaitModel
assert type(config) is PlaitConfig and config.modality_names == ["tabular"], config
from transformers import PreTrainedModel
made = AutoModel.from_pretrained(sys.argv[2])
assert isinstance(made, PlaitModel) and isinstance(made, PreTrainedModel)
assert type(AutoConfig.for_model("plait")) is PlaitConfig
"""


@pytest.mark.parametrize("order", ["early", pytest.param("late", marks=pytest.mark.slow)])
def test_auto_classes_know_a_folder_after_import(order: str, old: Path) -> None:
    given = [sys.executable, "-c", ORDERS, order, str(old)]
    done = subprocess.run(given, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr


def test_auto_model_is_the_network_of_the_folder(posts_model: Path) -> None:
    from plait.model import PlaitModel

    ours, theirs = plait.load(posts_model).model, AutoModel.from_pretrained(posts_model)
    assert isinstance(theirs, PlaitModel) and not theirs.training and theirs.config.to_dict()["model_type"] == "plait"
    here, there = ours.state_dict(), theirs.state_dict()
    assert list(here) == list(there) and all(torch.equal(here[name].cpu(), there[name].cpu()) for name in here)


def test_weights_named_by_reference_are_read(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.model import PlaitModel

    read: list[Any] = []
    monkeypatch.setattr(PlaitModel, "read_outside_weights", lambda self: read.append(self))
    model, _ = AutoModel.from_pretrained(old, output_loading_info=True)
    assert read == [model]


@pytest.fixture
def hub(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with one repository in it, as the hub's client lays it out."""
    from huggingface_hub import constants

    place = tmp_path / "hub" / "models--somebody--numbers"
    for name, content in contents(old).items():
        blob, link = place / "blobs" / name.replace("/", "-"), place / "snapshots" / COMMIT / name
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_name_is_looked_up_in_the_cache(hub: Path, old: Path) -> None:
    found, direct = plait.Plait.from_pretrained("somebody/numbers"), plait.Plait.from_pretrained(old)
    assert type(found) is plait.Plait and found.fingerprint == direct.fingerprint
    table = numbers(4)
    assert found.predict(table) == direct.predict(table) == plait.load(old).predict(table)
    assert plait.Plait.from_pretrained("somebody/numbers", revision=COMMIT).fingerprint == direct.fingerprint


def test_nothing_is_fetched_unless_it_is_asked_for(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"fetch it with plait.Plait.from_pretrained\('a/b', download=True\)"):
        plait.Plait.from_pretrained("a/b")
    with pytest.raises(FileNotFoundError, match=r"no folder here and \(revision x\) not in the hub's cache"):
        plait.Plait.from_pretrained("somebody/numbers", revision="x")
    with pytest.raises(ValueError, match="a/b.* (cannot be reached|cannot be fetched)|cannot be reached for a/b"):
        plait.Plait.from_pretrained("a/b", download=True)  # the tests are off line
    for name in ("a", "a/b/c", Path("a/b")):
        with pytest.raises(FileNotFoundError, match="no model folder at a"):
            plait.Plait.from_pretrained(name)
    asked: dict[str, Any] = {}

    def fetched(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(hub / "models--somebody--numbers" / "snapshots" / COMMIT)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    plait.Plait.from_pretrained("a/b", download=True, revision="v1")
    assert asked["name"] == "a/b" and asked["revision"] == "v1" and "local_files_only" not in asked
    assert not any(
        fnmatch.fnmatch(name, kind) for kind in asked["allow_patterns"] for name in ("a.py", "a.bin", "a.pt")
    )


def test_a_damaged_repository_is_refused(hub: Path) -> None:
    blob = hub / "models--somebody--numbers" / "blobs" / "labels.json"
    blob.write_bytes(blob.read_bytes().replace(b"up", b"op"))
    with pytest.raises(ValueError, match="labels.json is not what was saved"):
        plait.Plait.from_pretrained("somebody/numbers")


def test_the_card_is_read_by_the_hub_and_every_kind_of_file_is_fetched(posts_model: Path) -> None:
    from huggingface_hub import ModelCard

    from plait.api.hub import KINDS

    card = ModelCard.load(posts_model / "README.md")
    assert card.data.library_name == "plait" and "multimodal" in card.data.tags
    assert card.data.eval_results and card.data.eval_results[0].metric_value is not None
    for name in contents(posts_model):
        assert any(fnmatch.fnmatch(name, kind) for kind in KINDS), name


def test_a_folder_names_no_place_of_this_machine(posts: Path, posts_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own place"
    own.mkdir()
    more = own / "more.csv"
    more.write_text("size,kind,label\n" + "".join(f"{i},a,up\n" for i in range(5)))
    table = own / "table.csv"
    columns = numbers(40)
    rows = zip(*columns.values(), strict=True)
    table.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
    model = plait.fit(table, "label", more=more, output=tmp_path / "model", epochs=1, calibration=0.2,
                      set=["train.baselines=false", "train.threads=1"])  # fmt: skip
    assert str(table) in model.report["settings"]["data"]["source"]
    for folder, place in ((posts_model, posts.parent), (tmp_path / "model", own)):
        told = {name: content for name, content in contents(folder).items() if str(place).encode() in content}
        assert not told, {name: content[max(0, content.find(str(place).encode()) - 80) :][:300]
                          for name, content in told.items()}  # fmt: skip
    again = plait.load(tmp_path / "model")
    assert again.settings.data.source == "table.csv" and again.report["facts"]["source"] == "table.csv"
    assert any("rows of more.csv are numbered from" in note for note in again.report["facts"]["notes"])
    plain = tmp_path / "plain.csv"
    plain.touch()
    assert without_places({"a": [f"see {plain}.", 1, None]}, None, others=True) == {"a": ["see plain.csv.", 1, None]}


def test_fit_saves_what_save_saves(tmp_path: Path) -> None:
    fit(tmp_path / "a").save(tmp_path / "b")
    names = set(contents(tmp_path / "a")) - {"history.csv"}
    assert names == set(contents(tmp_path / "b"))
