"""The command line: help, JSON, errors, files; in one process where no fresh interpreter is needed."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from fixtures.json_output import only_json
from fixtures.settings import SCRATCH
from plait.cli.main import app

VERBS = [
    ["fit"], ["compare"], ["evaluate"], ["predict"], ["check"], ["data"], ["demo"], ["explain"], ["fusions"],
    ["two-tower"], ["caption"], ["ask"], ["calibrate"], ["drift"], ["suggest"], ["augment"], ["serve"], ["export"],
    ["doctor"], ["plugins"], ["vlm"], ["profile"],
    ["weights", "fetch"], ["weights", "ls"],
    ["features", "add"], ["features", "ls"], ["features", "verify"], ["features", "gc"],
    ["search"], ["index", "build"], ["index", "add"], ["index", "update"], ["index", "delete"], ["index", "info"],
    ["index", "move"], ["index", "compact"], ["index", "duplicates"], ["index", "knn"], ["index", "zero-shot"],
    ["index", "probe"], ["index", "ann"],
]  # fmt: skip
SETS = [a for s in SCRATCH for a in ("--set", s)]
Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(verb: list[str], run: Run) -> None:
    code, out, _ = run(*verb, "--help")
    assert code == 0
    assert f"Example: plait {' '.join(verb)}" in " ".join(out.split())


def test_what_goes_with_lancedb_alone_is_not_in_the_help(run: Run) -> None:
    """The flags work (tests/cli/test_index_cli.py types them); docs/decisions/0012-index.md names them."""
    assert not re.search(r"^  ann\b", run("index", "--help")[1], flags=re.MULTILINE)
    for verb in (["index", "build"], ["search"]):
        out = run(*verb, "--help")[1]
        assert not re.search(r"--(backend|uri|nprobes|refine)|LanceDB", out) and "--json" in out


def test_every_verb_is_tested() -> None:
    named = {c.name or c.callback.__name__ for c in app.registered_commands}
    groups = {g.name for g in app.registered_groups}
    assert {v[0] for v in VERBS} == named | groups


def test_importing_the_command_line_is_light() -> None:
    code = "import sys, plait.cli; print([m for m in ('torch', 'pyarrow', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_compare_as_json(posts: Path, tmp_path: Path, run: Run) -> None:
    out_folder = tmp_path / "comparison"
    arguments = ["compare", posts, "--target", "label", "--fusion", "weighted_sum", "--seeds", 1, "--search", 1,
                 "--epochs", 1, "--ignore", "size", *SETS, "-o", out_folder]  # fmt: skip
    code, out, err = run(*arguments, "--json")
    assert code == 0
    report = only_json(out)
    assert report["selected"] == "weighted_sum" and Path(report["page"]).is_file()
    assert "comparing" in err
    code, out, err = run(*arguments, "--resume", "--quiet")
    assert code == 0 and report["verdict"] in out and "0 runs trained" in out and not err
    code, out, err = run(*arguments)
    assert code == 2 and "--resume" in err and not out


def test_fit_evaluate_predict_as_json(posts: Path, tmp_path: Path, run: Run) -> None:
    model = tmp_path / "model"
    code, out, _ = run("fit", posts, "--target", "label", "--epochs", 1, *SETS, "-o", model, "--json")
    assert code == 0
    report = only_json(out)
    assert report["evaluation"]["metrics"]["accuracy"]["value"] is not None
    assert Path(report["model"]) == model and Path(report["report"]).is_file()
    code, out, err = run("fit", posts, "--target", "label", "--epochs", 1, *SETS, "-o", model)
    assert code == 2 and "--overwrite" in err and out == ""
    for name in ("out.csv", "out.parquet"):
        code, out, _ = run("predict", model, posts, "-o", tmp_path / name, "--json")
        assert (code, only_json(out)) == (0, {"rows": 48, "problems": 0, "output": str(tmp_path / name)})
        code, out, err = run("predict", model, posts, "-o", tmp_path / name)
        assert code == 2 and err.startswith("plait: ") and "--overwrite" in err
        assert run("predict", model, posts, "-o", tmp_path / name, "--overwrite", "--quiet")[2] == ""
    from_csv = pyarrow.csv.read_csv(tmp_path / "out.csv")
    from_parquet = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert from_csv.column_names == from_parquet.column_names
    for name in ("row", "id", "prediction", "probability_yes"):
        assert from_csv.column(name).to_pylist() == from_parquet.column(name).to_pylist()
    assert not list(tmp_path.glob("*.part"))
    code, out, _ = run("evaluate", model, posts, "--report", tmp_path / "r" / "report.html", "--json")
    assert code == 0 and only_json(out)["evaluation"]["rows"] == 8  # the test split
    assert (tmp_path / "r" / "report.html").read_text(encoding="utf-8").startswith("<!")
    assert json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))["verdict"]


def test_plain_words(posts: Path, posts_model: Path, run: Run) -> None:
    code, out, _ = run("evaluate", posts_model, posts, "--rows", "all")
    assert code == 0 and "accuracy" in out and "judged on all 48 rows" in out


def test_explain(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    page = tmp_path / "r" / "why.html"
    code, out, err = run("explain", posts_model, posts, "--rows", "all", "--report", page)
    assert code == 0 and "accuracy of every subset (missing):" in out and "Shapley value (points" in out
    assert "additive projection" in err and f"report: {page}" in out and page.is_file()
    code, out, err = run("explain", posts_model, posts, "--row", 41, "--json", "--quiet", "--absence", "marginal")
    found = only_json(out)
    assert code == 0 and err == "" and [r["row"] for r in found["examples"]] == [41]
    assert found["absence"]["name"] == "marginal" and len(found["subsets"]) == 8
    code, out, _ = run("explain", posts_model, posts, "--row", 41, "--metric", "auroc", "--quiet")
    assert code == 0 and "row 41: truth" in out and "auroc of every subset" in out


def test_a_calibrated_model_believes_and_abstains(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    with posts.open(encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if k != "split"} for row in csv.DictReader(file)]
    rows = [{**row, "text": f"{row['text']} anew"} for row in rows]  # rows that the model has not seen
    fresh = posts.parent / "calibrate.csv"  # beside the pictures
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows[::-1])
    made = tmp_path / "calibrated"
    code, out, err = run("calibrate", posts_model, fresh, "--rows", "all", "-o", made, "--quiet")
    assert code == 0, err
    assert (made / "calibration.json").is_file() and not (posts_model / "calibration.json").exists()
    asked = ["--coverage", 0.9, "--abstain-above", 0.4, "--quiet"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, out, err = run("predict", made, fresh, "-o", tmp_path / "p.csv", *asked)
    assert "of 48 predicted rows, known again by their contents, 48 calibrated it: no coverage" in err
    found = pyarrow.csv.read_csv(tmp_path / "p.csv")
    withheld = found.num_rows - found.column("abstained").null_count
    assert withheld > 0 and f"{withheld} without an answer (see the column 'abstained')" in out + err
    assert code == 0 and {"set", "risk", "abstained"} <= set(found.column_names) and found.num_rows == len(rows)
    code, _, err = run("predict", posts_model, fresh, "-o", tmp_path / "q.csv", "--coverage", 0.9, "--quiet")
    assert code != 0 and "plait calibrate" in err and "calibration" in err and not (tmp_path / "q.csv").exists()


def test_drift_tells_alike_from_other(tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(0)
    places = {}
    for name, shift in (("a", 0.0), ("b", 0.0), ("c", 3.0)):
        places[name] = tmp_path / f"{name}.csv"
        lines = [f"{value:.4f},{'xy'[i % 2]}" for i, value in enumerate(rng.normal(size=200) + shift)]
        places[name].write_text("\n".join(["size,label", *lines]) + "\n")
    assert run("drift", places["a"], places["b"], "--target", "label", "--quiet")[0] == 0
    code, out, _ = run("drift", places["a"], places["c"], "--target", "label", "--json", "--quiet")
    assert code == 1 and only_json(out)


def test_augment_writes_a_contact_sheet(posts: Path, tmp_path: Path, run: Run) -> None:
    page = tmp_path / "deep" / "sheet.html"
    code, out, _ = run("augment", posts, "--target", "label", "--show", page, "--count", 2, "--json")
    assert code == 0 and len(only_json(out)["rows"]) == 2 and page.read_text("utf-8").count('id="row-') == 2
    code, out, _ = run("augment", posts, "--target", "label", "--show", page, "--count", 2)
    assert code == 0 and "type --set augment.views=4 in a fit" in out and str(page) in out
    code, _, err = run("augment", posts, "--target", "label", "--show", tmp_path / "sheet.png")
    assert code == 2 and "--show sheet.html" in err


def test_check_and_lists_as_json(posts: Path, cache: Path, run: Run) -> None:
    code, out, _ = run("check", posts, "--target", "label", "--json")
    assert code in (0, 1) and only_json(out)
    assert only_json(run("weights", "ls", "--json")[1])["weights"]
    assert only_json(run("features", "ls", "--json")[1])["spaces"] == []
    assert only_json(run("features", "verify", "--json")[1])
    assert only_json(run("features", "gc", "--max-gb", 1, "--json")[1])


def test_one_row(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    lines = posts.read_text(encoding="utf-8").splitlines()
    table = posts.parent / "one.csv"
    table.write_text("\n".join([lines[0], lines[3]]), encoding="utf-8")
    assert run("check", table, "--target", "label")[0] in (0, 1)
    assert run("evaluate", posts_model, table, "--rows", "all")[0] == 0
    assert run("explain", posts_model, table, "--rows", "all", "--report", tmp_path / "one.html")[0] == 0
    assert run("predict", posts_model, table, "-o", tmp_path / "one.csv")[0] == 0


@pytest.mark.filterwarnings("ignore:.*has no column:UserWarning")  # a table of texts only
def test_encoding(tmp_path: Path, posts_model: Path, run: Run) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes("text,label\n今天是晴天,yes\n今天下雨了,no\n".encode("gb18030"))
    assert run("predict", posts_model, table, "--encoding", "gb18030", "-o", tmp_path / "a.csv")[0] == 0
    assert run("evaluate", posts_model, table, "--encoding", "gb18030")[0] == 0
    assert run("check", table, "--encoding", "gb18030")[0] in (0, 1)
    code, _, err = run("check", table, "--encoding", "klingon")
    assert code == 2 and err.startswith("plait: ")


def errors(posts: Path, model: Path, tmp: Path) -> list[list[object]]:
    (tmp / "file").write_text("x")
    (tmp / "broken.parquet").write_bytes(b"PAR1 not at all PAR1")
    (tmp / "latin.csv").write_bytes(b"text,label\ncaf\xe9,1\n")
    (tmp / "bad.yaml").write_text("train: [")
    fit = ["fit", posts, "--target", "label", *SETS, "-o", tmp / "m"]
    return [
        ["fit"], ["fit", posts], ["nonsense"], ["fit", posts, "--nonsense", "-o", "m"],
        ["fit", posts, "--target", "labl", "-o", tmp / "m"],
        ["fit", tmp / "nowhere.csv", "--target", "label", "-o", tmp / "m"],
        ["fit", tmp / "broken.parquet", "--target", "label", "-o", tmp / "m"],
        ["fit", "x" * 5000, "--target", "label", "-o", tmp / "m"],
        ["fit", "nul\0.csv", "--target", "label", "-o", tmp / "m"],
        [*fit, "--epochs", 0], [*fit, "--epochs", "many"], [*fit, "--task", "sorting"],
        [*fit, "--fusion", "nope"], [*fit, "--recipe", "nope"], [*fit, "--set", "train.epoch=3"],
        [*fit, "--set", "epochs"], [*fit, "--set", "train.epochs=x"], [*fit, "--set", "train=3"],
        [*fit, "--set", "a.b.c=["], [*fit, "--config", tmp / "bad.yaml"],
        [*fit, "--config", tmp / "nowhere.yaml"],
        [*fit, "--text", "nope"], [*fit, "--split", "nope"], [*fit, "--group", "nope"],
        [*fit, "--on-bad-row", "x"],
        [*fit, "--set", "encoders.text=scratch:image"], [*fit, "--set", "encoders.image=hf:/nowhere"],
        [*fit, "--format", "coco"], [*fit, "--annotations", "a"], [*fit, "--resume", "--overwrite"],
        ["fit", posts, "--target", "label", *SETS, "-o", tmp / "file"],
        ["fit", posts, "--target", "label", *SETS, "-o", tmp / "file" / "m"],
        ["predict", tmp / "nowhere", posts, "-o", tmp / "p.csv"],
        ["predict", tmp, posts, "-o", tmp / "p.csv"],
        ["predict", model, posts, "-o", tmp / "p.txt"],
        ["predict", model, posts, "-o", tmp / "file" / "p.csv"],
        ["predict", model, tmp / "latin.csv", "-o", tmp / "p.csv"],
        ["predict", model, posts, "--on-bad-row", "x", "-o", tmp / "p.csv"],
        ["evaluate", model, posts, "--rows", "exam"],
        ["evaluate", model, posts, "--report", tmp / "file" / "report.html"],
        ["explain", model, posts, "--row", 3], ["explain", model, posts, "--absence", "gone"],
        ["explain", model, posts, "--metric", "mae"], ["explain", model, posts, "--rows", "exam"],
        ["explain", model, posts, "--report", tmp / "file" / "why.html"], ["explain", tmp / "nowhere", posts],
        ["check", tmp / "nowhere.csv"], ["check", tmp], ["check", posts, "--target", "labl"],
        ["data", "no-such-set", "-o", tmp / "d"], ["weights", "fetch", "no-such-encoder"],
        ["demo", tmp / "nowhere.png", "--folder", tmp / "demo"], ["features", "gc", "--max-gb", "-1"],
    ]  # fmt: skip


def test_errors_are_one_line_and_exit_code_2(
    posts: Path, posts_model: Path, tmp_path: Path, cache: Path, run: Run
) -> None:
    for arguments in errors(posts, posts_model, tmp_path):
        code, out, err = run(*arguments)
        shown = " ".join(str(a)[:80] for a in arguments)
        assert code == 2 and out == "", f"{shown}: {code} {out} {err}"
        told = [line for line in err.splitlines() if line.startswith("plait: ")]
        assert len(told) == 1 and err.rstrip().endswith(told[0]), f"{shown}: {err}"
        assert len(told[0]) > 15, f"{shown}: {err}"
    assert not (tmp_path / "m").exists() and not (tmp_path / "p.csv").exists()


def test_predictions_do_not_replace_the_table(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(posts.read_bytes())
    (tmp_path / "link.csv").symlink_to(table)
    for output in (table, tmp_path / "link.csv"):
        code, _, err = run("predict", posts_model, table, "-o", output, "--overwrite")
        assert code == 2 and "is the table that is read, and would be lost" in err
    assert table.read_bytes() == posts.read_bytes()


def test_bad_rows_are_listed_under_the_first_line(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    lines = posts.read_text(encoding="utf-8").replace("img/3.png", "img/gone.png")
    (posts.parent / "gone.csv").write_text(lines, encoding="utf-8")
    table = posts.parent / "gone.csv"
    code, _, err = run("predict", posts_model, table, "--on-bad-row", "error", "--quiet", "-o", tmp_path / "p.csv")
    assert code == 2 and err.startswith("plait: 1 of 48 rows") and "row 3, column 'image'" in err
    code, out, _ = run("predict", posts_model, table, "-o", tmp_path / "p.csv")
    assert code == 0 and "1 with a problem" in out


def test_ctrl_c_before_anything_is_kept_says_so(
    posts: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plait.ensemble.networks.fit_model", stop)
    code, out, err = run("fit", posts, "--target", "label", *SETS, "-o", tmp_path / "m", "--quiet")
    assert (code, out) == (130, "") and err.count("\n") == 1
    assert err.startswith("plait: stopped; nothing of this run was kept yet") and "--resume" not in err


def test_ctrl_c_under_overwrite_says_that_the_old_model_stands(
    posts: Path, posts_model: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    shutil.copytree(posts_model, tmp_path / "m")
    monkeypatch.setattr(
        "plait.ensemble.networks.fit_unimodal_baselines", stop
    )  # the fused model has its checkpoints by then
    fit = ("fit", posts, "--target", "label", *SETS, "--preset", "single", "-o", tmp_path / "m", "--quiet")
    code, out, err = run(*fit, "--overwrite")
    assert (code, out) == (130, "") and err.startswith("plait: stopped; the model that was in") and "--resume" in err
    monkeypatch.undo()
    assert run("predict", tmp_path / "m", posts, "-o", tmp_path / "p.csv", "--quiet")[0] == 0
    assert run(*fit, "--resume")[0] == 0 and not (tmp_path / "m" / "resume.json").exists()


def test_fusions_lists_every_method(run: Run) -> None:
    from plait.fusion import FUSIONS

    code, out, _ = run("fusions", "--json")
    found = json.loads(out)["fusions"]
    assert code == 0 and [f["name"] for f in found] == FUSIONS.names()
    assert all(f["equation"] and f["paper"] for f in found)
    code, out, _ = run("fusions")
    assert code == 0 and "Tsai, Bai, Liang" in out and "product_of_experts" in out
