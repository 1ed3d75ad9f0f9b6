"""The library names arguments as Python writes them; the command line shows them as they are typed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plait.cli.wording import as_typed, options

SRC = Path(__file__).resolve().parents[2] / "src" / "plait"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
OTHER_PROGRAMS = {  # type options of pip, uv, nvidia-smi, ray
    "data/catalog/wheels.py", "api/installation/devices.py", "api/batch/on_ray.py",
}  # fmt: skip
Run = Callable[..., tuple[int, str, str]]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Every text in the code of a file, pieces of f-strings among them, without docstrings and style sheets."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
        and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            if "var(--" not in node.value and ":root{" not in node.value:
                yield node.lineno, node.value


def test_no_message_of_the_library_speaks_of_flags() -> None:
    found = [
        f"{path.relative_to(SRC)}:{line}: {text}"
        for path in sorted(SRC.rglob("*.py"))
        if path.parts[len(SRC.parts)] != "cli" and path.relative_to(SRC).as_posix() not in OTHER_PROGRAMS
        for line, text in texts(path.read_text(encoding="utf-8"))
        if FLAG.search(text)
    ]
    assert not found, "write name=VALUE, which the command line turns:\n" + "\n".join(found)


def test_the_reader_of_messages_sees_a_planted_flag() -> None:
    planted = '"""--doc"""\ndef f(x):\n    """--doc"""\n    raise ValueError(f"{x}; type --target COL")\n'
    assert [line for line, text in texts(planted) if FLAG.search(text)] == [4]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Name it with target=COLUMN; it has", "Name it with --target COLUMN; it has"),
        ("on_bad_row='skip' (the row", "--on-bad-row skip (the row"),
        ("type overwrite=True to replace it", "type --overwrite to replace it"),
        ("image_set= goes with format='coco'", "--image-set goes with --format coco"),
        ("text=, image= or numeric=.", "--text, --image or --numeric."),
        ("set=['train.epochs=3'] too", "--set train.epochs=3 too"),
        ("set=['task.order=[a, b]']", "--set 'task.order=[a, b]'"),
        ("type delimiter='\\t'", "type --delimiter $'\\t'"),
        ("ignore='two words'", "--ignore 'two words'"),
        ("decimal='.' or decimal=','", "--decimal . or --decimal ,"),
        ("plait.fit(TABLE, task='retrieval', output=MODEL)", "plait fit TABLE --task retrieval --output MODEL"),
        ("row 3 holds 'target=3'", "row 3 holds 'target=3'"),
        ("unknown setting 'epochs'. Did you mean 'train.epochs'?",) * 2,
        ("got 'epochs=3'; width=4, x.text=b, a == b",) * 2,
    ],
)
def test_arguments_become_options(said: str, typed: str) -> None:
    assert as_typed(said) == typed


def test_every_option_is_known() -> None:
    assert {"target", "on_bad_row", "image_set", "set", "where", "modality", "output"} <= options().keys()
    assert options()["on_bad_row"] == "--on-bad-row" and options()["set"] == "--set"


@pytest.mark.parametrize("group", [[], ["weights"], ["index"], ["features"]], ids=" ".join)
def test_a_group_alone_prints_its_help(group: list[str], run: Run) -> None:
    code, out, err = run(*group)
    assert code == 0 and err == "" and out.startswith("Usage: ")
    assert "Commands:" in out or "Train and use a model:" in out


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["train"], "type plait fit."), (["Version"], "type plait --version."),
        (["ft"], "Did you mean 'fit'"), (["weights", "fetchh"], "Did you mean 'fetch'"),
        (["fit", "T", "-o", "m", "--target", "lable"], "Did you mean 'label'"),
        (["fit", "T", "-o", "m", "--target", "label", "--text", "txt"], "Did you mean 'text'"),
        (["fit", "T", "-o", "m", "--target", "label", "--fusion", "gatd"], "Did you mean 'gated'"),
        (["fit", "T", "-o", "m", "--target", "label", "--recipe", "clasic"], "Did you mean 'classic'"),
        (["fit", "T", "-o", "m", "--target", "label", "--task", "clasification"], "Did you mean 'classification'"),
        (["fit", "T", "-o", "m", "--target", "label", "--set", "epochs=3"], "Did you mean 'train.epochs'"),
        (["fit", "T", "-o", "m", "--target", "label", "--set", "encoders.text=minlm"], "Did you mean 'minilm'"),
        (["compare", "T", "-o", "m", "--target", "label", "--fusion", "gated,consine"], "Did you mean 'cosine'"),
        (["compare", "T", "-o", "m", "--target", "lable"], "Did you mean 'label'"),
        (["check", "T", "--target", "lable"], "Did you mean 'label'"),
        (["fit", "T", "-o", "m"], "Name it with --target COLUMN"),
        (["fit", "T", "-o", "T", "--target", "label"], "is a file; choose a folder"),
        (["predict", "nowhere", "T", "-o", "p.csv"], "plait fit TABLE --target COLUMN --output nowhere makes one"),
        (["predict", "nowhere", "gone.csv", "-o", "p.csv"], "no such table: 'gone.csv'"),
        (["evaluate", "nowhere", "gone.csv"], "no such table: 'gone.csv'"),
        (["evaluate", "nowhere", "T", "--rows", "tset"], "unknown word after --rows 'tset'. Did you mean 'test'"),
        (["explain", "nowhere", "T", "--absence", "margnal"], "Did you mean 'marginal'"),
        (["predict", "nowhere", "T", "-o", "p.csv", "--on-bad-row", "skp"], "Did you mean 'skip'"),
        (["fit", "T", "-o", "m", "--target", "label", "--preset", "fats"], "Did you mean 'fast'"),
        (["fit", "T", "-o", "m", "--task", "classification"], "Name it with --target COLUMN"),
    ],
)  # fmt: skip
def test_typos_are_answered_with_the_nearest(
    arguments: list[str], near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("text,size,label\nfine day,1,yes\nrain,2,no\n", encoding="utf-8")
    code, out, err = run(*("t.csv" if a == "T" else a for a in arguments))
    assert code == 2 and out == "" and near in err
    assert not (tmp_path / "m").exists() and not (tmp_path / "p.csv").exists()


def test_notes_of_an_error_speak_of_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    from plait import api

    def full(*_: object, **__: object) -> None:
        error = ValueError("row 1: type allow_outside=True")
        error.add_note("do the same again with resume=True (and without overwrite=True)")
        raise error

    monkeypatch.setattr(api, "check", full)
    assert run("check", tmp_path) == (
        2, "", "plait: row 1: type --allow-outside\ndo the same again with --resume (and without --overwrite)\n"
    )  # fmt: skip


def test_problems_of_rows_speak_of_flags() -> None:
    from types import SimpleNamespace

    from plait.cli.predict import _summary

    file: Any = SimpleNamespace(
        rows=2, problems=1, abstained=0, first_problems=[(0, "photo: '/a' lies outside; type allow_outside=True")]
    )
    assert _summary(file, "p.csv").splitlines()[1] == "  row 0: photo: '/a' lies outside; type --allow-outside"
