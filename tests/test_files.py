"""What counts as an ordinary file: what never ends or waits is refused before it is opened."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from plait.data.table import read_table
from plait.files import cache_root, require_regular_file


def test_an_ordinary_file_tells_its_size(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    assert require_regular_file(tmp_path / "a.csv", "table").st_size == 4
    assert require_regular_file(tmp_path / "link.csv", "table").st_size == 4


def test_what_is_not_there_is_said_with_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"no such image: .* \(looked in '{re.escape(str(tmp_path))}'\)"):
        require_regular_file(tmp_path / "a.png", "image")
    with pytest.raises(ValueError, match="no path of a table"):
        require_regular_file(Path("a\0b"), "table")
    with pytest.raises(ValueError, match="a folder; expected the table itself"):
        require_regular_file(tmp_path, "table")


@pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and /proc as Linux has them")
def test_tables_that_never_end_or_wait_for_someone_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zeros.csv").symlink_to("/dev/zero")
    (tmp_path / "log.csv").symlink_to("/proc/kmsg")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{short}/door")
        for path, what in (
            (tmp_path / "pipe.csv", "a pipe"),
            (tmp_path / "zeros.csv", "a device"),
            (tmp_path / "log.csv", "made up by the system"),
            (Path(f"{short}/door"), "a socket"),
        ):
            with pytest.raises(ValueError, match=f"{what}.*no ordinary file; expected the table, saved as a file"):
                read_table(path, format="csv")


@pytest.mark.skipif(sys.platform != "linux", reason="pipes as Linux has them")
def test_a_pipe_inside_a_saved_data_set_is_refused_too(tmp_path):
    os.mkfifo(tmp_path / "data.arrow")
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    with pytest.raises(ValueError, match="a pipe, no ordinary file"):
        read_table(tmp_path)


def test_what_tests_store_stays_out_of_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert cache_root().is_relative_to(tmp_path_factory.getbasetemp())
    assert not (cache_root() / "weights").is_symlink()
