"""A delimiter that does not stand in the file: the one that does is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.data.readers.parsed import TextReading
from plait.data.table import read_table


@pytest.mark.parametrize(("there", "typed"), [(",", ";"), (";", ","), ("\t", ","), ("|", "\t")])
def test_a_file_of_one_column_says_what_divides_it(there: str, typed: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(there.join(row) for row in (["text", "size", "y"], ["a", "1", "b"], ["c", "2", "d"])))
    with pytest.raises(ValueError, match="the file has one column") as caught:
        read_table(path, text=TextReading(typed))
    assert f"its delimiter seems to be {there!r}, which makes 3 columns: type delimiter={there!r}" in str(caught.value)
    assert read_table(path, text=TextReading(there)).column_names == ["text", "size", "y"]


def test_one_column_of_sentences_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text, as it was\nwell, yes\nno\nso, it, is\n")
    assert read_table(path, text=TextReading(";")).column_names == ["text, as it was"]
