"""``plait predict`` on the terminal: streams, stops, formulas, problems, words in the right number."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]
# the tables here have texts only, which is told
pytestmark = pytest.mark.filterwarnings("ignore:.*has no column 'image'; it counts as missing:UserWarning")


def named(posts: Path, name: str, *rows: str) -> Path:
    table = posts.parent / name
    table.write_text("\n".join(["id,text,size", *rows]) + "\n", encoding="utf-8")
    return table


def test_stdout_is_the_file(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    assert run("predict", posts_model, posts, "-o", tmp_path / "a.csv", "--quiet")[0] == 0
    code, out, err = run("predict", posts_model, posts, "-o", "-")
    assert code == 0 and out == (tmp_path / "a.csv").read_text("utf-8") and "48 rows predicted -> stdout" in err
    code, out, err = run("predict", posts_model, posts, "-o", "-", "--json")
    assert code == 2 and out == "" and "leave --json out" in err


def test_a_stopped_run_says_how_far_it_came(
    posts: Path, posts_model: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.api import Plait

    pieces = Plait.predict_chunks

    def stopped(self: Any, table: Any, **options: Any) -> Iterator[Any]:
        yield next(pieces(self, table, chunk_rows=20))
        raise KeyboardInterrupt

    monkeypatch.setattr(Plait, "predict_chunks", stopped)
    (tmp_path / "a.csv").write_text("old")
    code, out, err = run("predict", posts_model, posts, "-o", tmp_path / "a.csv", "--overwrite", "--quiet")
    assert (code, out) == (130, "") and err.startswith("plait: stopped after 20 rows; ") and err.count("\n") == 1
    assert (tmp_path / "a.csv").read_text() == "old" and not list(tmp_path.glob("*.part"))


def test_formulas_are_told(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    table = named(posts, "formula.csv", "=1+1,it was sunny,1", "-5,it was rainy,2", "今天🙂,اليوم,3")
    code, out, err = run("predict", posts_model, table, "-o", tmp_path / "a.csv", "--quiet")
    written = (tmp_path / "a.csv").read_text("utf-8")
    assert code == 0 and '0,"\'=1+1",' in written and '1,"-5",' in written and '2,"今天🙂",' in written
    assert err == (
        "note: 1 text would be run as a formula by a spreadsheet and got an apostrophe before it; "
        "--no-escape-formulas writes all as they are\n"
    )
    code, out, err = run("predict", posts_model, table, "-o", tmp_path / "b.csv", "--no-escape-formulas", "--quiet")
    assert code == 0 and err == "" and '0,"=1+1",' in (tmp_path / "b.csv").read_text("utf-8")
    assert run("predict", posts_model, table, "-o", tmp_path / "a.jsonl", "--quiet")[2] == ""
    assert json.loads((tmp_path / "a.jsonl").read_text("utf-8").splitlines()[0])["id"] == "=1+1"


def test_the_first_problems_are_shown(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    rows = [f"r{i},it was sunny,{'odd' if i > 1 else i}" for i in range(9)]
    code, out, _ = run("predict", posts_model, named(posts, "odd.csv", *rows), "-o", tmp_path / "new" / "a.csv")
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("9 rows predicted; 7 with a problem (see the column 'problem') -> ")
    assert lines[1] == "  row 2: size: 'odd' is no number" and lines[-1] == "  ... and 2 more" and len(lines) == 7


def test_one_row_and_long_text(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    table = named(posts, "long.csv", f"a,{'sunny ' * 10_000},1")
    assert run("predict", posts_model, table, "-o", tmp_path / "a.csv")[1].startswith("1 row predicted -> ")
    code, out, err = run("predict", posts_model, named(posts, "none.csv"), "-o", tmp_path / "b.csv")
    assert code == 2 and "no rows" in err and not (tmp_path / "b.csv").exists()
    code, out, _ = run("evaluate", posts_model, posts, "--rows", "all", "--quiet")
    assert "judged on all 48 rows; 0 cells unreadable" in out


def test_notes_name_classes_and_titles_name_pairs(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    lines = posts.read_text("utf-8").splitlines()
    table = posts.parent / "yes.csv"
    table.write_text("\n".join([lines[0], next(line for line in lines if ",yes," in line)]), encoding="utf-8")
    out = run("evaluate", posts_model, table, "--rows", "all", "--quiet")[1]
    assert "judged on the only row" in out and "auroc is undefined: every row has the class 'yes'" in out


@pytest.mark.parametrize("verb", ["fit", "evaluate", "explain", "compare", "predict"])
def test_the_default_for_bad_rows_is_in_the_help(verb: str, run: Run) -> None:
    shown = " ".join(run(verb, "--help")[1].split())
    expected = "missing" if verb == "predict" else "error"
    assert re.search(rf"--on-bad-row .*?\[default: \(?{expected}\)?\]", shown)


def test_what_a_terminal_shows_has_no_odd_plurals(posts: Path, run: Run) -> None:
    table = posts.parent / "single.csv"
    table.write_text("text,label\nfine day,a\n", encoding="utf-8")
    out = run("check", table, "--target", "label")[1]
    assert "single.csv: 1 row\n" in out and not re.search(r"\b1 (rows|classes|values|cells|times|modalities)\b", out)


def test_problems_in_the_file_name_options_as_they_are_typed(tmp_path: Path) -> None:
    import pyarrow as pa

    from plait.api import PredictionFile
    from plait.cli.wording import as_typed

    rows = pa.table({"row": [0, 1], "problem": ["photo lies outside; type allow_outside=True", None]})
    for name in ("p.csv", "p.jsonl", "p.parquet"):
        PredictionFile(tmp_path / name, wording=as_typed).write([rows])
        assert b"type --allow-outside" in (tmp_path / name).read_bytes()
    PredictionFile(tmp_path / "python.csv").write([rows])
    assert b"allow_outside=True" in (tmp_path / "python.csv").read_bytes()


def test_a_folder_of_parts(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    out = f"{tmp_path}/out/"
    code, said, err = run("predict", posts_model, posts, "-o", out, "--part-rows", 20, "--quiet")
    assert code == 0 and said == f"48 rows predicted -> 3 parts in {tmp_path}/out\n"
    assert "posts.csv was held in memory as a whole; .parquet and large .csv files are read piece by piece" in err
    code, said, err = run("predict", posts_model, posts, "-o", out, "--part-rows", 20, "--json", "--quiet")
    assert code == 0 and err == "" and json.loads(said)["went_on"] == 3
    code, _, err = run("predict", posts_model, posts, "-o", tmp_path / "out", "--quiet", "--on-bad-row", "skip")
    assert code == 2 and "type --overwrite" in err and "other options (part_rows was 20, on_bad_row was" in err
    code, said, _ = run("predict", posts_model, posts, "-o", out, "--output-format", "csv", "--overwrite", "--quiet")
    assert code == 0 and (tmp_path / "out" / "part-00000.csv").read_text("utf-8").count("\n") == 49
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "part-00000.csv"]


def test_options_of_a_folder_need_one(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    for flag, value in (("--workers", 2), ("--ray", "local"), ("--part-rows", 9), ("--output-format", "csv")):
        code, _, err = run("predict", posts_model, posts, "-o", tmp_path / "a.csv", flag, value)
        assert code == 2 and f"{flag} goes with a folder of parts: type -o {tmp_path}/a.csv/" in err
    code, _, err = run("predict", posts_model, posts, "-o", f"{tmp_path}/", "--describe", posts)
    assert code == 2 and "--describe writes one file" in err
