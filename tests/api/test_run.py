"""Runs from end to end on small tables, with encoders from scratch: nothing is downloaded."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import plait
from fixtures.processes import in_a_fork
from fixtures.settings import QUICK, SCRATCH
from fixtures.tables import texts
from plait.data.table import read_table


def quick(table: Any, target: str = "label", **options: Any) -> plait.Plait:
    return plait.fit(table, target, epochs=1, set=[*QUICK, *options.pop("set", [])], **options)


@pytest.fixture(scope="module")
def model(posts_model: Path) -> plait.Plait:
    return plait.load(posts_model)


def test_loaded_model_predicts_bit_equally(posts: Path, model: plait.Plait, tmp_path: Path) -> None:
    again = plait.load(model.save(tmp_path / "again"))
    assert np.array_equal(model.predict_proba(posts), again.predict_proba(posts))
    assert model.predict(posts).equals(again.predict(posts))
    for name, baseline in model.baselines.items():
        other = again.baselines[name].state_dict()
        assert all(np.array_equal(v.cpu(), other[k].cpu()) for k, v in baseline.state_dict().items())
    assert {p.suffix for p in (tmp_path / "again").rglob("*") if p.is_file()} <= {
        ".json", ".yaml", ".safetensors", ".html", ".md",
    }  # fmt: skip


def test_predictions_keep_order_and_ids(posts: Path, model: plait.Plait) -> None:
    table = read_table(posts)
    order = np.random.default_rng(0).permutation(len(table))
    straight = model.predict(table)
    shuffled = model.predict(read_table(table.arrow.take(order).to_pydict() | {
        "image": [str(posts.parent / f) for f in table.arrow.take(order).column("image").to_pylist()]
    }, allow_outside=True))  # fmt: skip
    assert straight.column("row").to_pylist() == list(range(48))
    assert straight.column("id").to_pylist() == [f"r{i:03d}" for i in range(48)]
    assert shuffled.column("row").to_pylist() == list(range(48))
    assert shuffled.column("id").to_pylist() == [f"r{i:03d}" for i in order]
    probability = np.array(straight.column("probability_yes"))
    np.testing.assert_allclose(np.array(shuffled.column("probability_yes")), probability[order], atol=1e-5)
    both = np.stack([np.array(straight.column(f"probability_{c}")) for c in ("no", "yes")])
    np.testing.assert_allclose(both.sum(0), 1, atol=1e-6)


def test_an_id_column_never_hides_a_column_of_ours() -> None:
    table = texts(20, prediction=[f"k{i}" for i in range(20)])
    made = quick(table, id="prediction").predict(table)
    assert made.column("id_prediction").to_pylist() == table["prediction"]
    assert set(made.column("prediction").to_pylist()) <= {"up", "down"}


@pytest.mark.parametrize("column", ["text", "image", "size"])
@pytest.mark.filterwarnings("ignore:.*has no column:UserWarning")
def test_a_column_missing_at_predict_counts_as_missing(column: str, posts: Path, model: plait.Plait) -> None:
    table = read_table(posts)
    less = type(table)(table.arrow.drop_columns([column]), table.root, table.source)
    made = model.predict(less)
    assert made.num_rows == 48 and made.column("prediction").null_count == 0
    empty = table.with_column(column, pa.nulls(48).to_pylist())
    np.testing.assert_array_equal(made.column("probability"), model.predict(empty).column("probability"))


def test_none_of_the_columns_is_an_error(model: plait.Plait) -> None:
    with pytest.raises(ValueError, match="none of the columns"):
        model.predict({"other": ["a"]})


def test_policies(posts: Path, model: plait.Plait) -> None:
    table = read_table(posts).take(range(6))
    cells = table.column("image")
    cells[2] = "img/nowhere.png"
    broken = table.with_column("image", cells)
    with pytest.raises(ValueError, match=r"row 2, column 'image'.*\n.*on_bad_row="):
        model.predict(broken, on_bad_row="error")
    skipped = model.predict(broken, on_bad_row="skip")
    assert [p is None for p in skipped.column("prediction").to_pylist()] == [i == 2 for i in range(6)]
    missing = model.predict(broken)
    assert missing.column("prediction").null_count == 0
    assert [p is not None for p in missing.column("problem").to_pylist()] == [i == 2 for i in range(6)]
    clean = model.predict_proba(table)
    for policy in ("skip", "missing"):
        got = model.predict_proba(broken, on_bad_row=policy)
        good = [0, 1, 3, 4, 5]
        np.testing.assert_allclose(got[good], clean[good], atol=1e-5)
    assert np.isnan(model.predict_proba(broken, on_bad_row="skip")[2]).all()
    with pytest.raises(ValueError, match="on_bad_row"):
        model.predict(broken, on_bad_row="ignore")


def test_fit_policies_count_every_row(tmp_path: Path) -> None:
    table = texts(30)
    table["label"][4] = None
    with pytest.raises(ValueError, match="row 4, column 'label'"):
        quick(table, output=tmp_path / "model")
    assert not (tmp_path / "model").exists()  # so that the mended command needs no --overwrite
    fitted = quick(table, on_bad_row="skip", output=tmp_path / "model")
    assert sum(fitted.report["splits"].values()) == 29
    assert {"row": 4, "column": "label"}.items() <= fitted.report["evaluation"]["bad_rows"][0].items()


@pytest.mark.filterwarnings("ignore:.*has no column:UserWarning")  # a table of texts only
def test_unparsable_lines_count_under_error(tmp_path: Path, model: plait.Plait) -> None:
    (tmp_path / "t.csv").write_text("id,text,size\na,it was sunny,1\nb,it was,rainy,2\nc,it was rainy,3\n")
    with pytest.raises(ValueError, match="row 1"):
        model.predict(tmp_path / "t.csv", on_bad_row="error")
    made = model.predict(tmp_path / "t.csv")
    assert made.column("row").to_pylist() == [0, 1, 2]
    assert made.column("id").to_pylist() == ["a", None, "c"]
    assert made.column("problem").to_pylist()[1]


def test_killed_run_resumes_to_the_same_model(posts: Path, tmp_path: Path) -> None:
    options = [*SCRATCH, "train.epochs=4", "train.patience=0", "ensemble.members=[]"]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    plait.fit(str(posts), "label", output=straight, set=options)
    child = in_a_fork(plait.fit, str(posts), "label", output=killed, set=options)
    deadline = time.monotonic() + 120
    while not any(killed.glob("checkpoints/fused/checkpoint-*/*")):
        assert child.is_alive() and time.monotonic() < deadline
        time.sleep(0.005)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (killed / "model.safetensors").exists()
    with pytest.raises(ValueError, match="resume=True"):
        plait.fit(str(posts), "label", output=killed, set=options)
    with pytest.raises(ValueError, match="other settings"):
        plait.fit(str(posts), "label", output=killed, set=[*options, "train.seed=5"], resume=True)
    with pytest.raises(ValueError, match="not finished"):
        plait.load(killed)
    plait.fit(str(posts), "label", output=killed, set=options, resume=True)
    for name in ("model.safetensors", "companions/00/model.safetensors", "history.csv"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes(), name
    assert not (killed / "checkpoints").exists() and not (killed / "resume.json").exists()


def test_leakage_is_told(posts: Path) -> None:
    table = read_table(posts)
    cells = table.column("image")
    cells[45] = cells[0]  # a test row shows a training picture
    notes = quick(table.with_column("image", cells)).report["evaluation"]["notes"]
    assert any("LEAKAGE: 1 picture of column 'image' " in note for note in notes)
    clean = quick(table).report["evaluation"]["notes"]
    assert not any("LEAKAGE" in note for note in clean)


@pytest.mark.parametrize(
    ("names", "judged"),
    [
        (("train", "val"), "test"),
        (("train", "test"), "test"),
        (("train", "val", "test"), "test"),
        (("train",), "test"),
    ],
)
def test_splits(names: tuple[str, ...], judged: str) -> None:
    table = texts(60, split=[names[i // 2 % len(names)] for i in range(60)])
    fitted = quick(table, split="split")
    assert fitted.report["evaluation"]["split"] == judged
    assert sum(fitted.report["splits"].values()) == 60
    assert fitted.report["splits"]["val"] > 0


def test_no_split_column_is_split_at_random() -> None:
    report = quick(texts(50)).report
    assert report["splits"] == {"train": 40, "val": 5, "test": 5}
    assert any("at random" in note for note in report["evaluation"]["notes"])


def test_no_training_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="marked train"):
        quick(texts(6, split=["test"] * 6), split="split")


def test_one_row(posts: Path, model: plait.Plait) -> None:
    row = read_table(posts).take([7])
    made = model.predict(row)
    assert made.num_rows == 1 and made.column("row").to_pylist() == [7]
    np.testing.assert_allclose(model.predict_proba(row)[0], model.predict_proba(posts)[7], atol=1e-5)
    assert model.evaluate(row)["evaluation"]["rows"] == 1


def test_fit_on_one_row() -> None:
    with pytest.raises(ValueError, match=r"the training rows hold 1 class \(down\); classification needs at least two"):
        quick(texts(1))


def test_regression_of_few_rows() -> None:
    fitted = quick(
        {"text": [f"about {i} words here now" for i in range(12)], "price": [i * 1.5 for i in range(12)]},
        "price",
    )
    assert fitted.predict({"text": ["a few words"]}).column("prediction").null_count == 0
    with pytest.raises(ValueError, match="no probabilities"):
        fitted.predict_proba({"text": ["a"]})


def test_output_guards(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(ValueError, match="other files"):
            quick(texts(10), output=tmp_path / "full", **options)
    assert (tmp_path / "full" / "thesis.tex").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        quick(texts(10), output=tmp_path / "file")
    with pytest.raises(ValueError, match="cannot write"):
        quick(texts(10), output=tmp_path / "file" / "model")
    with pytest.raises(ValueError, match="one of them"):
        quick(texts(10), output=tmp_path / "m", resume=True, overwrite=True)
    with pytest.raises(ValueError, match="output"):
        quick(texts(10), resume=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ValueError, match="cannot write"):
            quick(texts(10), output=tmp_path / "model")
    finally:
        tmp_path.chmod(0o755)


def test_overwrite_keeps_files_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    quick(texts(20), output=folder)
    pa.csv.write_csv(pa.table(texts(20)), folder / "posts.csv")
    quick(folder / "posts.csv", output=folder, overwrite=True)
    assert (folder / "posts.csv").is_file() and plait.load(folder)
    with pytest.raises(ValueError, match="finished"):
        quick(texts(20), output=folder, resume=True)


def test_names_and_texts_of_any_script(tmp_path: Path) -> None:
    table = {
        "正文 \U0001f600": [f"{'好' if i % 2 else '坏'}的东西 رقم {i} \U0001f680 e\u0301" for i in range(24)],
        "وسم": ["نعم \U0001f44d" if i % 2 else "不" for i in range(24)],
    }
    fitted = quick(table, "وسم", output=tmp_path / "模型 م \U0001f600", text="正文 \U0001f600")
    again = plait.load(tmp_path / "模型 م \U0001f600")
    made = again.predict(table)
    assert set(made.column("prediction").to_pylist()) <= set(table["وسم"])
    assert "probability_نعم \U0001f44d" in made.column_names
    assert made.equals(fitted.predict(table))


def test_a_text_of_ten_thousand_words_is_cut_and_counted() -> None:
    table = texts(20)
    table["text"][3] = "good word " * 5000
    fitted = quick(table)
    assert fitted.report["evaluation"]["counts"] == {"text: texts cut": 1}
    assert fitted.predict({"text": ["word " * 10_000]}).column("prediction").null_count == 0
    assert fitted.evaluate(texts(4))["evaluation"]["counts"] == {}  # counts are those of this table


def test_encoding(tmp_path: Path) -> None:
    lines = [
        "text,label",
        *(f"{'好' if i % 2 else '坏'}的东西在这里,{'是' if i % 2 else '否'}" for i in range(24)),
    ]
    (tmp_path / "t.csv").write_bytes("\n".join(lines).encode("gb18030"))
    fitted = quick(tmp_path / "t.csv", encoding="gb18030", text="text")
    assert fitted.labels.classes == ("否", "是")
    assert fitted.settings.data.encoding == "gb18030"
    assert fitted.predict(tmp_path / "t.csv", encoding="gb18030").num_rows == 24
    assert fitted.evaluate(tmp_path / "t.csv", encoding="gb18030", rows="all")["evaluation"]["rows"] == 24


def test_a_damaged_model_folder_says_so(model: plait.Plait, tmp_path: Path) -> None:
    for name in ("config.json", "labels.json", "schema.json", "inputs.json", "run.yaml", "model.safetensors"):
        folder = model.save(tmp_path / name.replace(".", "_"))
        for damage in (b"", b"{", b"\xff\xfe\x00", b"[1]", None):
            (folder / name).unlink() if damage is None else (folder / name).write_bytes(damage)
            with pytest.raises(ValueError):
                plait.load(folder)
    with pytest.raises(FileNotFoundError, match=r"plait\.fit"):
        plait.load(tmp_path / "nowhere")
    assert json.loads((tmp_path / "run_yaml" / "labels.json").read_text())
