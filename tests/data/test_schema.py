"""Guesses about columns, on planted and real tables, and the user's word above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.data.modality import Modality
from plait.data.schema import Column, Schema, guess_schema, guess_task
from plait.data.table import Table, read_table

N = 40


def planted() -> Table:
    return read_table(
        {
            "id": [f"r{i}" for i in range(N)],
            "caption": [f"a dog runs over the {i} green fields" for i in range(N)],
            "photo": [f"photos/{i}.jpg" for i in range(N)],
            "size": [i * 1.5 for i in range(N)],
            "rooms": [i % 5 for i in range(N)],
            "zipcode": [10_000 + i % 7 for i in range(N)],
            "colour": ["red", "blue"] * (N // 2),
            "empty": [None] * N,
            "row": list(range(N)),
            "split": ["train"] * 30 + ["dev"] * 5 + ["test"] * 5,
            "label": ["yes", "no"] * (N // 2),
        }
    )


def test_kinds_and_roles() -> None:
    schema = guess_schema(planted(), target="label")
    found = {c.name: (c.role, c.kind) for c in schema.columns}
    assert found == {
        "id": ("id", None),
        "caption": ("input", "text"),
        "photo": ("input", "image"),
        "size": ("input", "numeric"),
        "rooms": ("input", "numeric"),
        "zipcode": ("input", "categorical"),
        "colour": ("input", "categorical"),
        "empty": ("ignored", None),
        "row": ("ignored", None),
        "split": ("split", None),
        "label": ("target", "categorical"),
    }
    assert schema.modalities == (
        Modality("caption", "text", ("caption",)),
        Modality("photo", "image", ("photo",)),
        Modality("tabular", "tabular", ("size", "rooms", "zipcode", "colour")),
    )
    assert (schema.target, schema.id, schema.split, schema.group) == ("label", "id", "split", None)
    assert all(column.reason for column in schema.columns)
    assert len(schema.describe().splitlines()) == 11 and "codes" in schema.describe()


def test_the_user_overrules() -> None:
    schema = guess_schema(
        planted(),
        target="rooms",
        text="colour",
        categorical=["size"],
        ignore=["photo"],
        group="zipcode",
        id="label",
    )
    assert schema.column("colour").kind == "text" and schema.column("size").kind == "categorical"
    assert schema.column("photo").role == "ignored" and schema.group == "zipcode" and schema.id == "label"
    assert schema.column("id").role == "ignored"
    assert schema.column("caption").kind == "text", "columns that are not named are guessed still"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "labl"}, "Did you mean 'label'"),
        ({"text": ["caption"], "image": ["caption"]}, "give it one kind"),
        ({"text": ["caption"], "ignore": ["caption"]}, "name it once"),
        ({"target": "label", "group": "label"}, "give it one role"),
        ({"numeric": "colour"}, "row 0 holds 'red'"),
        ({"numeric": "photo"}, "cannot be numeric: it holds string .*row 0 holds 'photos/0.jpg'"),
        ({"image": "rooms"}, "expected paths, bytes, base64"),
    ],
)
def test_contradictions_of_the_user(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        guess_schema(planted(), **arguments)  # type: ignore[arg-type]


def test_json_round_trip_and_strictness() -> None:
    schema = guess_schema(planted(), target="label")
    assert Schema.from_json(schema.to_json()) == schema
    for broken in (
        {},
        [],
        {"columns": [{}]},
        {"columns": [{"name": 1, "kind": None, "role": "x", "reason": ""}]},
    ):
        with pytest.raises(ValueError, match="not a schema"):
            Schema.from_json(broken)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([("a", "text", "input"), ("a", "text", "input")], "more than once"),
        ([("a", None, "input")], "without a kind"),
        ([("a", "sound", "input")], "unknown kind"),
        ([("a", "text", "boss")], "unknown role"),
        ([("a", "text", "target"), ("b", "text", "target")], "one at most"),
        ([("tabular", "text", "input"), ("b", "numeric", "input")], "rename it"),
    ],
)
def test_schemas_that_cannot_be(columns: list[tuple[str, str | None, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schema(tuple(Column(n, k, r, "") for n, k, r in columns))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["这是一只狗在草地上奔跑", "两个人坐在海边看日落"] * 10, "text"),
        (["what colour is the square?", "is there a circle?"] * 50, "text"),
        (["good", "bad", "so so"] * 10, "categorical"),
        ([True, False, None] * 10, "categorical"),
        ([1, 0] * 20, "categorical"),
        ([1.0, None, 2.5] * 10, "numeric"),
        ([f"https://x.org/{i}.png" for i in range(9)], "image"),
        ([b"\x89PNG\r\n\x1a\n....", None], "image"),
        ([{"bytes": b"\xff\xd8\xff...", "path": None}] * 3, "image"),
        ([b"nothing"], None),
        ([[1.0, 2.0]] * 5, "vector"),
        ([[[1, 2], [3, 4]], [[5, 6]]], "vector"),
        (["[0.5, 1]", "[2, 3]"], "vector"),
        ([f"features/{i}.npy" for i in range(9)], "vector"),
        ([["a.jpg", "b.jpg"], ["c.jpg"]], "image_set"),
        (["a.jpg;b.jpg", "c.png | d.png"], "image_set"),
        ([b"RIFF....WAVEfmt ", b"OggS....", None], "audio"),
        ([["red", "blue"], ["green"]], None),
        ([f"x{i:04d}" for i in range(100)], None),
        ([f"sounds/{i}.ogg" for i in range(9)], "audio"),
        (["one sentence about a single dog"], "text"),
        (["Blue Moon", "Red Sun", "Old House"] + [f"New Day {i}" for i in range(30)], "text"),
    ],
)
def test_kind_of_planted_columns(values: list[object], kind: str | None) -> None:
    assert guess_schema(read_table({"v": values})).column("v").kind == kind


def test_groups_are_guessed_only_where_they_repeat() -> None:
    repeated = read_table({"image_id": [i // 5 for i in range(50)], "caption": ["a b c d"] * 50})
    assert guess_schema(repeated).group == "image_id"
    single = read_table({"image_id": list(range(50)), "caption": ["a b c d"] * 50})
    assert guess_schema(single).group is None and guess_schema(single).id == "image_id"


def test_split_needs_its_values() -> None:
    odd = read_table({"split": ["left", "right"] * 10, "t": ["a b c d"] * 20})
    assert guess_schema(odd).split is None and guess_schema(odd).column("split").kind == "categorical"


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 20, "classification"),
        ([0, 1] * 20, "classification"),
        ([float(i % 3) for i in range(40)], "classification"),
        ([i * 0.5 for i in range(40)], "regression"),
        (list(range(40)), "regression"),
        ([["x"], ["x", "y"]] * 20, "multilabel"),
    ],
)
def test_tasks(values: list[object], task: str) -> None:
    table = read_table({"text": ["a b c d e"] * 40, "y": values})
    assert guess_task(table, guess_schema(table, target="y"))[0] == task


def test_matching_needs_name_values_and_two_modalities() -> None:
    columns: dict[str, list[object]] = {"image": [f"{i}.jpg" for i in range(20)], "caption": ["a b c d"] * 20}
    pairs = read_table({**columns, "match": [1, 0] * 10})
    assert guess_task(pairs, guess_schema(pairs, target="match"))[0] == "matching"
    wider = read_table({**columns, "match": [1, 0] * 10, "size": [i * 0.5 for i in range(20)]})
    assert guess_task(wider, guess_schema(wider, target="match"))[0] == "classification"


def test_numbers_can_be_made_classes_and_back() -> None:
    table = read_table({"text": ["a b c d e"] * 40, "y": [i % 3 for i in range(40)]})
    assert guess_task(table, guess_schema(table, target="y", numeric="y"))[0] == "regression"
    table = read_table({"text": ["a b c d e"] * 40, "y": list(range(40))})
    assert guess_task(table, guess_schema(table, target="y", categorical="y"))[0] == "classification"


def test_targets_that_cannot_be_learned() -> None:
    table = read_table({"text": ["a b c d"] * 3, "y": [None] * 3})
    with pytest.raises(ValueError, match="every value is missing"):
        guess_task(table, guess_schema(table, target="y"))
    with pytest.raises(ValueError, match="target="):
        guess_task(table, guess_schema(table))
    with pytest.raises(ValueError, match="expected classes or numbers"):
        guess_task(table, guess_schema(table, target="text", text="text"))


def test_real_tables(shared_data: Path) -> None:
    houses = read_table(shared_data / "houses" / "houses.csv")
    schema = guess_schema(houses, target="price")
    assert [(m.name, m.kind) for m in schema.modalities] == [
        ("bathroom", "image"),
        ("bedroom", "image"),
        ("frontal", "image"),
        ("kitchen", "image"),
        ("tabular", "tabular"),
    ]
    assert guess_task(houses, schema)[0] == "regression"
    posts = read_table(shared_data / "posts-sentiment" / "posts.csv")
    schema = guess_schema(posts, target="sentiment")
    assert [m.kind for m in schema.modalities] == ["image", "text"] and guess_task(posts, schema)[0] == "classification"
