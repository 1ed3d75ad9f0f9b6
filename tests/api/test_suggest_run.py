"""``Plait.suggest`` on a fitted model, and ``fit(more=...)`` that takes the filled rows back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.tables import texts

facts_of = lazy("plait.api.suggesting", "suggestion_facts")
QUICK = ["encoders.text=scratch:text", "train.threads=1", "train.baselines=false"]


def fit(table: Any, **more: Any) -> plait.Plait:
    return plait.fit(table, "label", epochs=1, set=QUICK, **more)


@pytest.fixture(scope="module")
def model() -> plait.Plait:
    return fit(texts(40, size=[float(i) for i in range(40)]), preset="single")


def pool(n: int = 12, **more: Any) -> dict[str, list[Any]]:
    """Rows without a label that no labelled row shows."""
    rows = {
        "text": [f"{'good' if i % 3 else 'bad'} row {i} of a pool" for i in range(n)],
        "size": [i + 0.5 for i in range(n)],
    }
    return {**rows, **more}


def test_rows_as_they_stand_with_reasons_and_a_target_to_fill_in(model: plait.Plait) -> None:
    given = pool(row=[f"r{i}" for i in range(12)])
    found = model.suggest(given, 4)
    assert found.column_names == ["suggested_row", "text", "size", "row", "reason", "score", "label"]
    assert found.num_rows == 4 and found.column("label").null_count == 4
    for row in found.to_pylist():
        place = row["suggested_row"]
        assert (row["text"], row["size"], row["row"]) == (given["text"][place], given["size"][place], f"r{place}")
        assert row["reason"].startswith("unsure between ")
    assert model.suggest(given, 4).equals(found)
    said = model.suggest(given, 4, lang="zh").column("reason").to_pylist()
    assert all("拿不准" in one and "unsure" not in one for one in said)
    facts = facts_of(found)
    assert facts["rows"] == 12 and facts["suggested"] == 4 and not facts["notes"]


def test_rows_that_trained_the_model_are_known_again_by_what_they_show(model: plait.Plait) -> None:
    trained = texts(40, size=[float(i) for i in range(40)])
    mixed = {name: trained[name][::-1] + pool()[name] for name in ("text", "size")}
    facts = facts_of(model.suggest(mixed, 8))
    assert facts["left_out"] == {"trained the model or chose its epoch": 36}  # of 40, the others are its test rows


def test_a_model_that_knows_no_rows_again_says_what_to_name(
    model: plait.Plait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "seen", None)  # as of a model folder from before hashes were kept
    assert "labelled=TABLE" in facts_of(model.suggest(pool(), 4))["notes"][-1]


def test_what_is_labelled_is_left_out_and_counted(model: plait.Plait) -> None:
    known = {name: values[:5] for name, values in pool().items()} | {"label": ["up", "down", None, "up", "up"]}
    found = model.suggest(pool(), 8, labelled=known)
    assert set(found.column("row").to_pylist()) == {2, *range(5, 12)}
    assert facts_of(found)["left_out"] == {"show the same as a labelled row": 4} and not facts_of(found)["notes"]
    partly = pool(label=["up"] + [None] * 11)
    found = model.suggest(partly, 11)
    assert 0 not in found.column("row").to_pylist()
    assert facts_of(found)["left_out"] == {"have a value in 'label' already": 1}
    with pytest.raises(ValueError, match=r"n=12 is more than the 11 rows that can be suggested.*1 have a value.*n=11"):
        model.suggest(partly, 12)


def test_rows_that_hold_nothing_are_left_out(model: plait.Plait) -> None:
    found = model.suggest(pool(text=[None, " ", *pool()["text"][2:]], size=[None, None, *pool()["size"][2:]]), 10)
    assert set(found.column("row").to_pylist()) == set(range(2, 12))
    assert facts_of(found)["left_out"] == {"hold nothing that the model reads": 2}


def test_fewer_rows_than_asked_where_the_others_show_the_same(model: plait.Plait) -> None:
    with pytest.warns(UserWarning, match="3 rows instead of n=6"):
        found = model.suggest({name: values[:3] * 2 for name, values in pool().items()}, 6, strategy="random")
    assert found.num_rows == 3 and facts_of(found)["passed_over"] == 3
    assert found.column("reason")[0].as_py() == "drawn at random; stands for 1 row more that show nearly the same"


def test_of_a_vast_pool_a_sample_is_looked_at(model: plait.Plait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.api.suggesting.MOST_CELLS", 1)
    monkeypatch.setattr("plait.api.suggesting.FEWEST_ROWS", 6)
    given = pool()
    found = model.suggest(given, 3)
    facts = facts_of(found)
    assert facts["rows"] == 12 and facts["notes"][0] == "looked at 6 of 12 rows, drawn with seed 0"
    assert all(row["text"] == given["text"][row["row"]] for row in found.to_pylist())


def test_errors_say_what_to_type(model: plait.Plait, coloured_model: Path) -> None:
    with pytest.raises(ValueError, match="has none of the columns this model reads"):
        model.suggest({"other": [1, 2]}, 1)
    with pytest.raises(ValueError, match="n is 0"):
        model.suggest(pool(), 0)
    with pytest.raises(ValueError, match="strategy='bald' does not go.*one model alone.*mixed"):
        model.suggest(pool(), 1, strategy="bald")
    with pytest.raises(ValueError, match="rows to label are suggested for models that answer a class"):
        plait.load(coloured_model).suggest(pool(), 1)


def test_the_page_shows_each_row_with_its_reason(model: plait.Plait, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = model.suggest(pool(text=["<b>x</b> row"] + pool()["text"][1:]), 12, report=page)
    text = page.read_text("utf-8")
    assert "<b>x</b>" not in text and "&lt;b&gt;x&lt;/b&gt; row" in text and "<script" not in text
    assert all(reason.replace("'", "&#39;") in text for reason in found.column("reason").to_pylist())
    numbers = json.loads((tmp_path / "page.json").read_text("utf-8"))
    assert [r["row"] for r in numbers["suggestions"]] == found.column("row").to_pylist()


def test_more_rows_train_and_judge_nothing() -> None:
    own = texts(40)
    alone = fit(own, preset="single")
    more = {
        "text": [f"odd row {i}" for i in range(6)],
        "label": ["odd", "odd", None, "odd", "", "odd"],
        "reason": ["x"] * 6,
    }
    with pytest.warns(UserWarning, match="a dict, rows 0, 1, 3, 5: class 'odd' is new, the table has no such class$"):
        both = fit(own, preset="single", more=more)
    splits = alone.report["splits"]
    assert both.report["splits"] == {**splits, "train": splits["train"] + 4}
    assert set(both.labels.classes) == {"up", "down", "odd"}
    notes = both.report["evaluation"]["notes"]
    assert "4 rows of a dict trained too and judged nothing; 2 rows of it had no value in 'label' yet" in notes
    again = both.evaluate(own)  # its own table is known again, and split as in training
    assert again["evaluation"]["rows"] == splits["test"]
    assert any("rows are split as in training" in note for note in again["evaluation"]["notes"])
    same = [r["row"] for r in both.report["evaluation"]["examples"]]
    assert same and max(same) < 40


def test_a_mistyped_class_and_an_odd_cell_of_more_rows_are_named_in_their_own_file(tmp_path: Path) -> None:
    own = texts(40, size=[float(i) for i in range(40)])
    lines = ["text,size,label", "one,1,up", "two,2,", "three,3,Down", "four,4,ups", "five,5,ups"]
    (tmp_path / "more.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.warns(UserWarning) as told:
        fitted = fit(own, preset="single", more=tmp_path / "more.csv")
    said = [str(w.message) for w in told]
    assert any("more.csv, row 2: class 'Down' is new" in s and "did you mean 'down'?" in s for s in said)
    assert any("more.csv, rows 3, 4: class 'ups' is new" in s and "did you mean 'up'?" in s for s in said)
    assert set(said) <= set(fitted.report["evaluation"]["notes"])
    (tmp_path / "odd.csv").write_text("\n".join([*lines[:2], "two,some,up"]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd.csv \(more=\) holds string.*; row 1 of it holds 'some'"):
        fit(own, preset="single", more=tmp_path / "odd.csv")
    (tmp_path / "commas.csv").write_text("text;size;label\none;1,5;up\ntwo;2,5;down\n", encoding="utf-8")
    with (
        pytest.warns(UserWarning, match="look like numbers with decimal commas"),
        pytest.raises(ValueError, match=r"holds '1,5'; if the comma is its decimal mark, type decimal=','$"),
    ):
        fit(own, preset="single", more=tmp_path / "commas.csv")
    read = fit(own, preset="single", more=tmp_path / "commas.csv", decimal=",")
    assert read.report["splits"]["train"] == fitted.report["splits"]["train"] - 4 + 2


def test_a_broken_photo_of_more_rows_is_named_in_its_own_file(posts: Path) -> None:
    from fixtures.settings import QUICK as IMAGES

    more = posts.parent / "broken.csv"
    more.write_text("text,image,label\nsunny,img/1.png,\nsunny,img/none.png,yes\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"1 of 49 rows of .*posts.csv and .*broken.csv cannot(.|\n)* row 1 of .*broken"
    ):
        plait.fit(posts, "label", epochs=1, set=IMAGES, more=more, preset="single")


def test_a_strategy_that_the_model_cannot_serve_is_refused_before_any_work(model: plait.Plait) -> None:
    def work(*_: Any) -> None:
        raise AssertionError("work was done")

    with pytest.raises(ValueError, match="'bald' does not go with this model: it compares members.*type one of mixed"):
        model.suggest(pool(), n=3, strategy="bald", progress=work)


def test_more_rows_that_show_what_is_judged_are_left_out() -> None:
    own = texts(40, group=[f"g{i // 2}" for i in range(40)])
    own["split"] = ["test" if i >= 36 else "val" if i >= 30 else "train" for i in range(40)]
    more = {
        "text": [own["text"][39], own["text"][0], "fresh one", "fresh two", "fresh three"],
        "label": ["up", "down", "up", "down", "up"],
        "group": [None, None, "g19", "g0", "new"],
    }
    fitted = fit(own, preset="single", more=more, group="group")
    assert fitted.report["splits"] == {"train": 33, "val": 6, "test": 4}
    assert any("2 rows of a dict left out: each shows" in n for n in fitted.report["evaluation"]["notes"])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"text": ["a"], "label": [None]}, "no row of a dict has a value in the target column 'label'"),
        ({"text": ["a"]}, r"\(more=\) has no column 'label'"),
        ({"other": ["a"], "label": ["up"]}, r"\(more=\) has none of the input columns text"),
        ({"text": ["a"], "label": [[1, 2]]}, "column 'label' of a dict"),
    ],
)
def test_more_rows_that_do_not_fit(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fit(texts(40), more=more)


def test_more_photos_lie_where_those_of_the_table_lie(posts: Path, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("text,image,label\nsunny,img/1.png,yes\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"column 'image' name files.*move the file there"):
        fit(posts, more=tmp_path / "more.csv")


def test_from_the_pool_to_the_next_fit(posts: Path, posts_model: Path, run: Any, tmp_path: Path) -> None:
    """The command line: suggest writes a file, which is filled in and taken by fit."""
    table = pyarrow.csv.read_csv(posts)
    pool_file, out = posts.parent / "pool.csv", posts.parent / "to-label.csv"
    fresh = table.drop_columns(["label"]).set_column(
        1, "text", pa.array([f"it was {'sunny' if i % 3 else 'rainy'} in week {i}" for i in range(48)])
    )
    pyarrow.csv.write_csv(fresh.slice(0, 20), pool_file)
    asked = ["suggest", posts_model, pool_file, "--labelled", posts, "--n", 6, "-o"]
    code, _, err = run(*asked, tmp_path / "to-label.csv")
    assert code == 2 and "name files beside" in err and str(posts.parent / "to-label.csv") in err
    code, text, err = run(*asked, out, "--report", tmp_path / "page.html", "--quiet")
    assert (
        code == 0 and not err and f"6 rows of 20 to label (mixed) -> {out}" in text and "fill in column 'label'" in text
    )
    next_step = text.partition("then: ")[2].strip()
    assert next_step.startswith(f"plait fit {posts} --target label --config {posts_model}/run.yaml --more {out} -o ")
    assert "data:image/jpeg" in (tmp_path / "page.html").read_text("utf-8")
    code, text, err = run(*asked, out)
    assert code == 2 and "--overwrite" in err
    code, text, _ = run(*asked, out, "--overwrite", "--json", "--strategy", "core_set")
    assert code == 0 and json.loads(text)["strategy"] == "core_set"
    written = pyarrow.csv.read_csv(out, convert_options=pyarrow.csv.ConvertOptions(column_types={"label": pa.string()}))
    labels = ["yes" if i % 2 else "no" for i in range(5)] + [""]
    pyarrow.csv.write_csv(written.set_column(written.column_names.index("label"), "label", pa.array(labels)), out)
    code, text, err = run(*shlex.split(next_step)[1:], "--json")  # as it was printed
    assert code == 0, err
    assert plait.load(shlex.split(next_step)[-1]).labels.classes == ("no", "yes")
    report = json.loads(text)
    assert report["splits"] == {"train": 37, "val": 8, "test": 8}
    assert any("5 rows of" in n and "1 row of it had no value" in n for n in report["evaluation"]["notes"])
    assert np.isfinite(report["evaluation"]["metrics"]["accuracy"]["value"])


def test_judged_rows_of_numbers_are_known_again_among_more() -> None:
    rng = np.random.default_rng(0)
    table = {c: rng.normal(size=60).tolist() for c in ("a", "b")}
    table |= {"label": rng.choice(["up", "down"], 60).tolist(), "split": ["train"] * 40 + ["val"] * 8 + ["test"] * 12}
    made = plait.fit(table, "label", split="split", epochs=1, more=table, preset="single")
    notes = " ".join(made.report["evaluation"]["notes"])
    assert "40 rows of" in notes and "20 rows of" in notes and "left out" in notes


def test_names_of_columns_that_are_taken_twice(model: plait.Plait) -> None:
    given = pool(row=["r"] * 12, suggested_row=["s"] * 12)
    found = model.suggest(given, 3)
    own = facts_of(found)["columns"]["row"]
    assert own not in given and all(isinstance(n, int) for n in found.column(own).to_pylist())
