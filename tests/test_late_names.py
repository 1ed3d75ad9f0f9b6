"""Records that are imported by the first ``get``, and packages whose names are imported when they are asked for."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from plait.registry import Registry, late_names

SRC = Path(__file__).resolve().parent.parent / "src" / "plait"


def test_an_expected_record_is_imported_by_the_first_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    table: Registry[int] = Registry("number")
    (tmp_path / "late_number.py").write_text("import builtins\nbuiltins.late_numbers.add('one', 1)\nTWO = 2\n")
    monkeypatch.setattr("builtins.late_numbers", table, raising=False)
    table.expect("one", "late_number")
    table.expect("two", "late_number:TWO")
    assert table.names() == ["one", "two"] == table.own_names() and "one" in table and len(table) == 2
    with pytest.raises(ValueError, match="'one' is registered already"):
        table.add("one", 3)
    with pytest.raises(ValueError, match="'two' is registered already"):
        table.expect("two", "elsewhere")
    assert (table.get("one"), table.get("two"), table.get("two")) == (1, 2, 2)
    for name in ("one", "two"):
        with pytest.raises(ValueError, match="is registered already"):
            table.add(name, 3)
    with pytest.raises(ValueError, match="three"):
        table.get("three")


@pytest.mark.parametrize("room", ["fusion", "objectives"])
def test_every_file_that_adds_a_record_is_expected(room: str) -> None:
    """A file that nobody expects is never imported, and its record is not there."""
    package = importlib.import_module(f"plait.{room}")
    table = {"fusion": "FUSIONS", "objectives": "OBJECTIVES"}[room]
    registry = getattr(package, table)
    added = [
        n for p in (SRC / room).glob("*.py") for n in re.findall(rf'{table}\.add\(\s*"(\w+)"', p.read_text("utf-8"))
    ]
    assert sorted(added) == sorted(registry.own_names()) and len(added) == len(set(added)) > 5
    assert all(registry.get(name) is not None for name in added)


@pytest.mark.parametrize(
    "package",
    ["api.batch", "encoders", "evaluation", "explain", "fusion", "metrics", "objectives", "processors", "training",
     "weights"],
)  # fmt: skip
def test_late_packages_hand_out_every_name_and_no_module_hides_one(package: str) -> None:
    module = importlib.import_module(f"plait.{package}")
    files = {path.stem for path in Path(str(module.__file__)).parent.iterdir()}
    found = {name: getattr(module, name) for name in module.__all__}
    assert set(found) <= set(dir(module))
    late = {name for name in found if not hasattr(found[name], "__path__") and name in files}
    assert all(not isinstance(found[name], type(module)) for name in found), "a module stands in place of a name"
    assert late <= {"modality_verdict", "orthogonality"}, "these must be imported at once, as those two are"
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        module.no_such_name  # noqa: B018


def test_names_are_kept() -> None:
    get, names = late_names("json", {"JSONDecodeError": "decoder"})
    assert get("JSONDecodeError") is importlib.import_module("json").JSONDecodeError and "loads" in names()
