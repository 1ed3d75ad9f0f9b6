"""Folders with one subfolder a class: sounds and pictures, with and without splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.data.table import read_table


def fill(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_sounds_are_named_after_their_folder(tmp_path: Path) -> None:
    fill(tmp_path, "dog/2.OGG", "dog/1.wav", "rain/a/3.flac", ".git/x.wav", "dog/.DS_Store", "readme.md")
    table = read_table(tmp_path)
    assert table.column("audio") == ["dog/1.wav", "dog/2.OGG", "rain/a/3.flac"]
    assert table.column("label") == ["dog", "dog", "rain"] and table.column_names == ["audio", "label"]
    assert table.root == tmp_path


def test_splits_above_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "train/dog/2.jpg", "test/cat/3.png")
    table = read_table(tmp_path)
    assert table.column("image") == ["test/cat/3.png", "train/cat/1.png", "train/dog/2.jpg"]
    assert table.column("label") == ["cat", "cat", "dog"] and table.column("split") == ["test", "train", "train"]


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "dog/1.wav", "rain/2.wav", "rain/notes.txt")
    with pytest.warns(UserWarning, match=r"1 file that is no audio was left out \(rain/notes.txt\)"):
        assert len(read_table(tmp_path)) == 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["dog/1.wav", "rain/2.png"], "a folder of classes holds one of them"),
        (["dog/1.wav"], "one class folder only"),
        (["dog/1.wav", "rain/2.wav", "docs/a.txt"], "without a file of the kind audio"),
        (["dog/a.txt"], "without a data set that can be read"),
    ],
)
def test_folders_that_are_something_else(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_table(fill(tmp_path, *names))
