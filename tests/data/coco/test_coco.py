"""The COCO readers: hand-made files, broken files, and the real cuts where they lie."""

from __future__ import annotations

import copy
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plait.data.coco.folder import read_coco_captions, read_coco_folder, read_coco_objects, read_karpathy

CAPTIONS: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 8, "caption": "a boat"},
        {"id": 2, "image_id": 7, "caption": "两只狗"},
        {"id": 3, "image_id": 8, "caption": 'the sea, "calm"\n'},
    ],
}
OBJECTS: dict[str, Any] = {
    "images": CAPTIONS["images"] + [{"id": 9, "file_name": "c.jpg"}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
    "annotations": [
        {"image_id": 7, "category_id": 3},
        {"image_id": 7, "category_id": 18, "iscrowd": 1},
        {"image_id": 7, "category_id": 3},
        {"image_id": 9, "category_id": 3},
    ],
}
KARPATHY: dict[str, Any] = {
    "dataset": "coco",
    "images": [
        {"filepath": "val2014", "filename": "x.jpg", "cocoid": 42, "imgid": 0, "split": "restval",
         "sentences": [{"raw": "one"}, {"raw": "two"}]},
        {"filepath": "val2014", "filename": "y.jpg", "cocoid": 43, "imgid": 1, "split": "test",
         "sentences": [{"raw": "three"}]},
    ],
}  # fmt: skip


def put(folder: Path, name: str, document: object, photos: tuple[str, ...] = ("a.jpg", "b.jpg", "c.jpg")) -> Path:
    for photo in photos:
        (folder / photo).write_bytes(b"photo")
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def test_captions_worked_by_hand(tmp_path: Path) -> None:
    table = read_coco_captions(put(tmp_path, "captions_val2017.json", CAPTIONS), tmp_path)
    assert table.arrow.to_pydict() == {
        "image": ["b.jpg", "a.jpg", "b.jpg"],
        "caption": ["a boat", "两只狗", 'the sea, "calm"\n'],
        "image_id": ["8", "7", "8"],
        "split": ["val"] * 3,
    }
    assert table.root == tmp_path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("captions_train2014", "train"),
        ("captions_dev", "val"),
        ("captions_restval", "train"),
        ("captions_test", "test"),
    ],
)
def test_the_file_name_gives_the_split(tmp_path: Path, name: str, split: str) -> None:
    table = read_coco_captions(put(tmp_path, f"{name}.json", CAPTIONS), tmp_path)
    assert set(table.arrow.column("split").to_pylist()) == {split}


def test_a_name_that_says_nothing_gives_no_split_unless_told(tmp_path: Path) -> None:
    path = put(tmp_path, "trained_words.json", CAPTIONS)
    assert "split" not in read_coco_captions(path, tmp_path).arrow.column_names
    assert read_coco_captions(path, tmp_path, split="test").arrow.column("split").to_pylist() == ["test"] * 3


def test_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, "captions_val.json", "\ufeff" + json.dumps(CAPTIONS))
    assert len(read_coco_captions(path, tmp_path).arrow) == 3


def test_objects_worked_by_hand(tmp_path: Path) -> None:
    table = read_coco_objects(put(tmp_path, "instances_train.json", OBJECTS), tmp_path)
    assert table.arrow.column("objects").to_pylist() == [["dog", "car"], [], ["car"]]
    assert table.arrow.column("image_id").to_pylist() == ["7", "8", "9"]


def test_missing_photos_are_counted_and_keep_their_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table = read_coco_captions(put(tmp_path, "captions_val.json", CAPTIONS, ("a.jpg",)), tmp_path)
    assert table.arrow.column("image").to_pylist().count("b.jpg") == 2
    assert "1 of 2 photos" in caplog.text and "b.jpg" in caplog.text


def test_photos_without_captions_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = {**CAPTIONS, "annotations": CAPTIONS["annotations"][:1]}
    with caplog.at_level(logging.WARNING):
        assert len(read_coco_captions(put(tmp_path, "captions_val.json", document), tmp_path).arrow) == 1
    assert "1 of 2 photos have no caption" in caplog.text


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = copy.deepcopy(CAPTIONS)
    change(document)
    return document


BROKEN: list[tuple[object, str]] = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    ("[" * 200_000, "not valid JSON"),
    ("[]", "expected an object"),
    ("null", "expected an object"),
    ({}, "lacks the key 'images'"),
    (broken(lambda d: d.pop("annotations")), "lacks the key 'annotations'; it has 'images'"),
    (broken(lambda d: d.update(annotations={})), "expected a list"),
    (broken(lambda d: d.update(annotations=[])), "holds no captions"),
    (broken(lambda d: d["annotations"].append(None)), "1 of 4 in 'annotations' are no objects, number 3"),
    (broken(lambda d: d["annotations"][1].pop("caption")), "1 of 3 in 'annotations' lack the key 'caption'"),
    (broken(lambda d: d["annotations"][1].update(caption=None)), r"1 of 3 .*caption are not text \(number 1"),
    (broken(lambda d: d["annotations"][1].update(caption="\ud83d")), "valid Unicode"),
    (broken(lambda d: d["annotations"][2].pop("image_id")), "lack the key 'image_id', number 2"),
    (
        broken(lambda d: d["annotations"][2].update(image_id=99)),
        "1 of 3 annotations point to a photo.*image_id 99",
    ),
    (broken(lambda d: d["annotations"][2].update(image_id=True)), "neither whole numbers nor text"),
    (broken(lambda d: d["annotations"][2].update(image_id=7.5)), "neither whole numbers nor text"),
    (broken(lambda d: d["images"][1].pop("file_name")), "1 of 2 in 'images' lack the key 'file_name'"),
    (broken(lambda d: d["images"][1].update(id=7)), "more than once, '7'"),
    (broken(lambda d: d["images"][1].update(file_name="../secret.jpg")), "inside the folder"),
    (broken(lambda d: d["images"][1].update(file_name="/etc/passwd")), "inside the folder"),
    (broken(lambda d: d["images"][1].update(file_name="C:\\x.jpg")), "inside the folder"),
    (broken(lambda d: d["images"][1].update(file_name="a\0.jpg")), "inside the folder"),
    (broken(lambda d: d["images"][1].update(file_name="")), "inside the folder"),
    (broken(lambda d: d["images"][1].update(file_name=5)), "not text"),
]


@pytest.mark.parametrize(("document", "says"), BROKEN)
def test_broken_captions_say_what_is_wrong(tmp_path: Path, document: object, says: str) -> None:
    path = put(tmp_path, "captions_val.json", document)
    with pytest.raises(ValueError, match=says) as caught:
        read_coco_captions(path, tmp_path)
    assert "captions_val.json" in str(caught.value)


def test_broken_objects_say_what_is_wrong(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"categories": OBJECTS["categories"][:1]}, "3 of 4 annotations name a category.*category_id 3"),
        ({"categories": OBJECTS["categories"] * 2}, "2 values of category id"),
        ({"categories": [{"id": 3, "name": "a"}, {"id": 18, "name": "a"}]}, "values of category name"),
        ({"annotations": [{"image_id": 70, "category_id": 3}]}, "1 of 1 annotations point to a photo"),
        ({"images": [], "annotations": []}, "holds no photos"),
    ]
    for change, says in cases:
        with pytest.raises(ValueError, match=says):
            read_coco_objects(put(tmp_path, "instances_val.json", {**OBJECTS, **change}), tmp_path)


def test_missing_places_are_value_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        read_coco_captions(tmp_path / "x.json", tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"cannot read .*x\.json"):
        read_coco_captions(tmp_path / "x.json", tmp_path)
    with pytest.raises(ValueError, match="not valid JSON"):
        (tmp_path / "y.json").write_bytes(b'{"images": "\xff\xfe"}')
        read_coco_captions(tmp_path / "y.json", tmp_path)


def test_karpathy_worked_by_hand(tmp_path: Path) -> None:
    (tmp_path / "val2014").mkdir()
    table = read_karpathy(put(tmp_path, "dataset_coco.json", KARPATHY, ("val2014/x.jpg",)), tmp_path)
    assert table.arrow.to_pydict() == {
        "image": ["val2014/x.jpg", "val2014/x.jpg", "val2014/y.jpg"],
        "caption": ["one", "two", "three"],
        "image_id": ["42", "42", "43"],
        "split": ["train", "train", "test"],
    }


def test_karpathy_with_photos_in_one_folder_and_no_cocoid(tmp_path: Path) -> None:
    document = copy.deepcopy(KARPATHY)
    for record in document["images"]:
        del record["cocoid"]
    table = read_karpathy(put(tmp_path, "d.json", document, ("x.jpg", "y.jpg")), tmp_path)
    assert table.arrow.column("image").to_pylist() == ["x.jpg", "x.jpg", "y.jpg"]
    assert table.arrow.column("image_id").to_pylist() == ["0", "0", "1"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": "holdout"}, "1 of 2 photos have an unknown split, 'holdout'"),
        ({"sentences": None}, "expected a list"),
        ({"sentences": [{"tokens": []}]}, "lack the key 'raw'"),
        ({"filename": "../../x"}, "inside the folder"),
        ({"filepath": ".."}, "inside the folder"),
        ({"cocoid": 43}, "more than once"),
    ],
)
def test_broken_karpathy(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    document = copy.deepcopy(KARPATHY)
    document["images"][0].update(change)
    with pytest.raises(ValueError, match=says):
        read_karpathy(put(tmp_path, "d.json", document, ()), tmp_path)


def folder_with(tmp_path: Path, **files: str) -> Path:
    """A COCO folder: annotation file name -> folder of its photos."""
    for name, photos in files.items():
        (tmp_path / photos).mkdir(exist_ok=True)
        for photo in ("a.jpg", "b.jpg", "c.jpg"):
            (tmp_path / photos / photo).write_bytes(b"photo")
        put(tmp_path, f"annotations/{name}.json", OBJECTS if name.startswith("inst") else CAPTIONS, ())
    return tmp_path


def test_folder_keeps_photos_of_two_splits_apart(tmp_path: Path) -> None:
    root = folder_with(tmp_path, captions_train2017="train2017", captions_val2017="val2017")
    table = read_coco_folder(root, task="captions")
    assert table.arrow.column("image_id").to_pylist() == [
        "train/8",
        "train/7",
        "train/8",
        "val/8",
        "val/7",
        "val/8",
    ]
    assert table.arrow.column("image").to_pylist()[3] == "val2017/b.jpg"
    assert table.root == root


def test_folder_reads_objects_and_other_places_of_photos(tmp_path: Path) -> None:
    root = folder_with(tmp_path, instances_val2017="val_photos")
    table = read_coco_folder(root, task="multilabel")
    assert table.arrow.column("image").to_pylist()[0] == "val_photos/a.jpg"


def test_folder_with_two_years_takes_the_one_with_photos(tmp_path: Path) -> None:
    root = folder_with(tmp_path, captions_val2017="val2017")
    put(root, "annotations/captions_val2014.json", CAPTIONS, ())
    assert set(read_coco_folder(root, task="captions").arrow.column("image_id").to_pylist()) == {"7", "8"}
    (root / "val2014").mkdir()
    with pytest.raises(ValueError, match="several files for the split 'val'"):
        read_coco_folder(root, task="captions")


def test_folder_errors_say_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="captions_train2017.json, or annotations="):
        read_coco_folder(tmp_path)
    with pytest.raises(ValueError, match="unknown COCO task 'matchin'. Did you mean 'matching'"):
        read_coco_folder(tmp_path, task="matchin")
    with pytest.raises(ValueError, match="annotations 'annotations-zh' not found"):
        read_coco_folder(tmp_path, annotations="annotations-zh")
    put(tmp_path, "annotations/captions_train2017.json", CAPTIONS, ())
    with pytest.raises(ValueError, match="needs a folder of photos such as .*train2017, but there is none"):
        read_coco_folder(tmp_path)
    put(tmp_path, "annotations/captions_mine.json", CAPTIONS, ())
    with pytest.raises(ValueError, match="cannot tell the split"):
        read_coco_folder(tmp_path)


def test_folder_reads_karpathy(tmp_path: Path) -> None:
    path = put(tmp_path, "dataset_coco.json", KARPATHY, ())
    for notes in (None, path):
        table = read_coco_folder(tmp_path, annotations=notes, task="captions")
        assert table.arrow.column("caption").to_pylist() == ["one", "two", "three"]
    with pytest.raises(ValueError, match="holds captions only"):
        read_coco_folder(tmp_path, annotations=path, task="multilabel")


def photos_at(root: Path, *places: str) -> None:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(place.encode())


def named(*names: str, **more: Any) -> dict[str, Any]:
    """A captions document of these photos, each with its place as caption."""
    return {
        "images": [{"id": i, "file_name": name, **more} for i, name in enumerate(names)],
        "annotations": [{"id": i, "image_id": i, "caption": name} for i, name in enumerate(names)],
    }


@pytest.mark.parametrize(
    ("name", "places", "found"),
    [
        ("train2017/x.jpg", ["train2017/x.jpg"], "train2017/x.jpg"),  # the folder stands in the name too
        ("train2017/x.jpg", ["train/x.jpg"], "train/x.jpg"),
        ("images/train2017/x.jpg", ["images/train2017/x.jpg"], "images/train2017/x.jpg"),
        ("train2017/x.jpg", ["images/train2017/x.jpg"], "images/train2017/x.jpg"),
        ("train2017/x.jpg", ["images/x.jpg"], "images/x.jpg"),
        ("photos/of/x.jpg", ["photos/of/x.jpg"], "photos/of/x.jpg"),  # a path from the data set's folder on
        ("x.jpg", ["images/x.jpg"], "images/x.jpg"),
        ("x.jpg", ["x.jpg"], "x.jpg"),
        ("x.jpg", ["train2017/y.jpg", "images/train2017/x.jpg"], "images/train2017/x.jpg"),
        ("x.jpg", ["train2017/x.jpg", "images/x.jpg"], "train2017/x.jpg"),  # exact first
        ("train2017/x.jpg", ["train2017/train2017/x.jpg", "train2017/x.jpg"], "train2017/train2017/x.jpg"),
        ("val2017/x.jpg", ["train2017/x.jpg", "val2017/x.jpg"], "val2017/x.jpg"),  # as it says, in another split
    ],
)
def test_where_photos_lie(tmp_path: Path, name: str, places: list[str], found: str) -> None:
    photos_at(tmp_path, *places)
    put(tmp_path, "annotations/captions_train2017.json", named(name), ())
    table = read_coco_folder(tmp_path, task="captions")
    assert table.column("image") == [found] and table.root == tmp_path


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("val2017/x.jpg", ["train2017/x.jpg"]),  # another photo: val's
        ("other/x.jpg", ["train2017/x.jpg"]),
        ("x.jpg", ["train2017/y.jpg", "val2017/x.jpg", "thumbnails/x.jpg"]),
    ],
)
def test_another_photo_of_that_name_is_not_taken(
    tmp_path: Path, name: str, places: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    photos_at(tmp_path, *places)
    put(tmp_path, "annotations/captions_train2017.json", named(name), ())
    with caplog.at_level(logging.WARNING):
        read_coco_folder(tmp_path, task="captions")
    assert "1 of 1 photos are not in" in caplog.text


def test_a_photo_in_several_places_is_named_by_its_number(tmp_path: Path) -> None:
    photos_at(tmp_path, "train2017/a.jpg", "images/b.jpg", "train_more/b.jpg")
    put(tmp_path, "annotations/captions_train2017.json", named("a.jpg", "b.jpg"), ())
    with pytest.raises(ValueError, match=r"1 of 2 photos .* number 1, 'b.jpg', in images/b.jpg and train_more/b.jpg"):
        read_coco_folder(tmp_path, task="captions")
    (tmp_path / "train_more" / "b.jpg").unlink()
    (tmp_path / "train_more" / "b.jpg").hardlink_to(tmp_path / "images" / "b.jpg")  # one file under two names
    assert read_coco_folder(tmp_path, task="captions").column("image") == ["train2017/a.jpg", "images/b.jpg"]


def test_one_file_with_the_folder_in_its_names(tmp_path: Path) -> None:
    photos_at(tmp_path, "val2014/x.jpg", "val2014/y.jpg")
    path = put(tmp_path, "captions_val2014.json", named("val2014/x.jpg", "y.jpg"), ())
    assert read_coco_captions(path, tmp_path / "val2014").column("image") == ["x.jpg", "y.jpg"]
    assert read_coco_captions(path, tmp_path).column("image") == ["val2014/x.jpg", "val2014/y.jpg"]
    put(tmp_path, "captions_val2014.json", named("x.jpg", "y.jpg", filepath="val2014"), ())
    assert read_coco_captions(path, tmp_path).column("image") == ["val2014/x.jpg", "val2014/y.jpg"]


@pytest.mark.parametrize(
    ("places", "found"),
    [
        (["images/val2014/x.jpg", "images/val2014/y.jpg"], "images/val2014/"),
        (["images/x.jpg", "images/y.jpg"], "images/"),
        (["val2014/x.jpg", "val2014/y.jpg", "images/x.jpg"], "val2014/"),  # exact first
        (["flickr30k-images/x.jpg", "flickr30k-images/y.jpg"], "flickr30k-images/"),
        (["x.jpg", "y.jpg"], ""),
    ],
)
def test_karpathy_photos_lie_elsewhere(tmp_path: Path, places: list[str], found: str) -> None:
    photos_at(tmp_path, *places)
    table = read_karpathy(put(tmp_path, "dataset_coco.json", KARPATHY, ()), tmp_path)
    assert table.column("image") == [f"{found}x.jpg", f"{found}x.jpg", f"{found}y.jpg"]


def test_karpathy_in_two_places(tmp_path: Path) -> None:
    photos_at(tmp_path, "images/x.jpg", "x.jpg", "val2014/y.jpg")
    with pytest.raises(ValueError, match=r"number 0, 'x.jpg', in x.jpg and images/x.jpg"):
        read_karpathy(put(tmp_path, "dataset_coco.json", KARPATHY, ()), tmp_path)


@pytest.mark.real
def test_real_coco(shared_data: Path) -> None:
    root = shared_data / "coco-mini"
    pairs = read_coco_folder(root, seed=3)
    assert Counter(pairs.arrow.column("match").to_pylist()) == {1: 795, 0: 795}
    assert Counter(pairs.arrow.column("split").to_pylist()) == {"train": 800, "val": 790}
    assert all((root / image).is_file() for image in set(pairs.arrow.column("image").to_pylist()))
    objects = read_coco_folder(root, task="multilabel").arrow.to_pylist()
    assert len(objects) == 159
    assert any("person" in row["objects"] for row in objects)


@pytest.mark.real
@pytest.mark.parametrize("notes", [None, "annotations-zh"])
def test_real_flickr(shared_data: Path, notes: str | None, caplog: pytest.LogCaptureFixture) -> None:
    table = read_coco_folder(shared_data / "flickr8k-2k", annotations=notes, task="captions")
    assert Counter(table.arrow.column("split").to_pylist()) == {"train": 7500, "val": 1250, "test": 1250}
    assert len(set(table.arrow.column("image_id").to_pylist())) == 2000
    assert caplog.text == ""
