"""``plugins.json``: what it holds, what is said where a part is missing, damage, and that it imports nothing."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import plait
from fixtures.open_tables import open_tables, play_plugins
from fixtures.settings import SCRATCH

__all__ = ["open_tables"]
NAME = "plugins.json"
ROWS = [{"a": float(i % 10), "b": float(i % 3), "y": "even" if i % 2 else "odd"} for i in range(60)]


def register() -> None:
    from plait.fusion import FusionInfo, GatedFusion

    info = FusionInfo("mine", "none", "h", needs_tokens=False)
    plait.register_fusion("mine", type("Mine", (GatedFusion,), {"info": info, "__module__": "mine_played"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from plait.fusion import FUSIONS

    register()
    place = tmp_path_factory.mktemp("parts") / "model"
    plait.fit(ROWS, "y", fusion="mine", epochs=1, set=SCRATCH, output=place, progress=False)
    FUSIONS.discard("mine")
    yield place


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Any:
    """A copy of the model whose part is described otherwise, with a manifest that fits."""
    from plait.api.model_manifest import write_manifest

    def change(**values: Any) -> Path:
        place = Path(shutil.copytree(folder, tmp_path / "changed"))
        facts = json.loads((place / NAME).read_text("utf-8"))
        facts["parts"][0] |= values
        (place / NAME).write_text(json.dumps(facts), encoding="utf-8")
        (place / "manifest.json").unlink()
        write_manifest(place)
        return place

    return change


def test_a_model_of_plaits_own_parts_has_no_such_file(tmp_path: Path) -> None:
    plait.fit(ROWS, "y", fusion="concat", epochs=1, set=SCRATCH, output=tmp_path / "model", progress=False)
    assert not (tmp_path / "model" / NAME).exists()


def test_what_a_program_registered_is_named_with_its_module(folder: Path, open_tables: dict[str, Any]) -> None:
    (part,) = json.loads((folder / NAME).read_text("utf-8"))["parts"]
    assert part == {"kind": "fusion", "name": "mine", "package": "", "version": "", "module": "mine_played"}
    with pytest.raises(ValueError, match=r"the fusion 'mine', which a program registered itself.*'mine_played'"):
        plait.load(folder)
    register()
    assert len(plait.load(folder).predict(ROWS)) == 60


def test_a_package_that_is_here_and_broken_or_older_is_said(
    changed: Any, monkeypatch: pytest.MonkeyPatch, open_tables: dict[str, Any]
) -> None:
    place = changed(package="good-one", version="2.0")
    with pytest.raises(
        ValueError, match="package good-one 2.0, which is not installed here; install it from whoever gave"
    ):
        plait.load(place)
    play_plugins(monkeypatch, good_one=lambda: None)
    with pytest.raises(ValueError, match="good-one 2.0; the version here has none: type pip install -U good-one"):
        plait.load(place)
    play_plugins(monkeypatch, good_one=lambda: 1 / 0)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="could not be loaded .ZeroDivisionError"):
        plait.load(place)
    play_plugins(monkeypatch, other_one=register)
    with pytest.warns(UserWarning, match="came from the package good-one, and here from other-one"):
        assert len(plait.load(place).predict(ROWS)) == 60


@pytest.mark.parametrize(
    "values",
    [
        {"package": "x; rm -rf /"}, {"package": "-r evil"}, {"name": "../x"}, {"kind": "module"}, {"name": 3},
        {"version": "1 --index"}, {"module": "os\nimport"}, {"package": None},
    ],
)  # fmt: skip
def test_odd_words_are_refused_and_not_repeated_as_commands(changed: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"plugins.json: parts\[0\]") as error:
        plait.load(changed(**values))
    assert "pip install" not in str(error.value)


def test_nothing_is_imported_by_a_name_in_the_folder(changed: Any) -> None:
    place = changed(package="antigravity", module="antigravity")
    with pytest.raises(ValueError, match="the package antigravity"):
        plait.load(place)
    assert "antigravity" not in sys.modules
