"""The tutorials run as they are printed, show what the run prints, and have what a reader needs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from fixtures import notebook_page, tutorials
from plait.files import cache_root

PAGES = tutorials.pages()


def test_there_is_a_tutorial_for_each_task() -> None:
    assert [page.stem for page in PAGES] == [
        "captions", "few-labels", "house-prices", "matching", "missing-modalities", "own-fusion", "photo-search",
        "sentiment", "serving", "sound", "visual-questions",
    ]  # fmt: skip


def marked(page: Path) -> object:
    marks = [pytest.mark.real] if tutorials.weights(page.read_text("utf-8")) else []
    return pytest.param(page, marks=marks, id=page.stem)


@pytest.mark.timeout(290)
@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_it_runs_as_it_is_printed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text("utf-8")
    lacking = [name for name in tutorials.weights(text) if not (cache_root() / "weights" / name).is_dir()]
    if lacking:
        pytest.skip(f"pretrained weights {', '.join(lacking)} are not here: plait weights fetch {' '.join(lacking)}")
    monkeypatch.setenv("PLAIT_FEATURES", str(tmp_path / "features"))
    outputs = tutorials.run_page(page, tmp_path / "run", seconds=280)
    for step, made in zip(tutorials.steps(text), outputs, strict=True):
        lacks = tutorials.not_seen(step, made["output"])
        assert not lacks, f"{page.name}:{step.line} shows what is not printed (benchmarks/tutorials.py)\n{lacks[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_says_what_you_have_what_you_get_and_where_to_go(page: Path) -> None:
    text = page.read_text("utf-8")
    assert 60 <= len(text.splitlines()) <= 150
    assert "**You have**" in text and "**You get**" in text and "\n## Next\n" in text
    assert re.search(r"\]\(\.\./[\w-]+\.md", text), "a tutorial leads to a guide"
    assert any(step.seen for step in tutorials.steps(text)), "a tutorial shows what is printed"


def test_a_line_that_was_not_printed_is_found() -> None:
    shows = "  together 0.93  [0.8, 1.0]\nall is well\na long ..."
    step = tutorials.steps(f"```bash step\nplait x\n```\n```text seen\n{shows}\n```\n")[0]
    assert tutorials.not_seen(step, "together  0.5 [0.1, 0.75]\na long line") == ["all is well"]


def test_the_first_tutorial_is_a_notebook_whose_page_is_its_own() -> None:
    for path in (notebook_page.NOTEBOOK, notebook_page.CHINESE):
        notebook = notebook_page.read(path)
        page, pictures = notebook_page.page_of(notebook, path)
        assert notebook_page.page(path).read_text("utf-8") == page, "python benchmarks/tutorials.py --notebook"
        for name, data in pictures.items():
            assert (notebook_page.PICTURES / name).read_bytes() == data
        assert path.stat().st_size < 300_000
        assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "it is kept with its outputs"


def test_the_chinese_notebook_has_the_code_and_the_outputs_of_the_other() -> None:
    ours, theirs = (notebook_page.read(path) for path in (notebook_page.CHINESE, notebook_page.NOTEBOOK))
    for one, other in zip(ours.cells, theirs.cells, strict=True):
        assert one.cell_type == other.cell_type
        if one.cell_type == "code":
            assert ast.dump(ast.parse(one.source)) == ast.dump(ast.parse(other.source))
            assert one.outputs == other.outputs, "python benchmarks/tutorials.py --notebook"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_chinese_page_shows_the_same_outputs(page: Path) -> None:
    chinese = tutorials.twin(page).read_text("utf-8")
    assert tutorials.with_outputs_of(chinese, page.read_text("utf-8")) == chinese, "benchmarks/tutorials.py --write"


def test_outputs_of_the_other_page_are_taken() -> None:
    english = "```bash step\nls\n```\n```text seen\n3 rows\n2 more\n```\nand\n```python step\n1\n```\n"
    chinese = "```bash step\nls\n```\n```text seen\n2 rows\n```\n以及\n```python step\n1\n```\n"
    assert tutorials.with_outputs_of(chinese, english) == english.replace("and", "以及")
    with pytest.raises(ValueError, match="argument"):
        tutorials.with_outputs_of("", english)


@pytest.mark.timeout(290)
def test_the_notebook_runs_and_shows_the_same() -> None:
    pytest.importorskip("nbclient", reason="extra dev")
    pytest.importorskip("pandas", reason="extra notebook")
    pytest.importorskip("matplotlib", reason="extra notebook")
    kept, made = notebook_page.read(), notebook_page.run_notebook(seconds=280)
    for before, now in zip(kept.cells, made.cells, strict=True):
        kinds = [[sorted(one.get("data", {"text": 0})) for one in cell.get("outputs", [])] for cell in (before, now)]
        assert kinds[0] == kinds[1], before.source
        printed = [tutorials.plain(shown(cell)) for cell in (before, now)]
        assert printed[0] == printed[1], before.source


def shown(cell: object) -> str:
    """What a cell printed."""
    outputs = json.loads(json.dumps(cell)).get("outputs", [])
    return "".join(one.get("text", "") for one in outputs)
