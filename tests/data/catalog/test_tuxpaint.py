"""Tux Paint stamps: a small Debian package written by hand, its reader, and the table made of it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plait.data.catalog import debian, tuxpaint
from plait.data.catalog.datasets import fetch_dataset, read_card
from plait.data.catalog.debian import unpack_deb
from plait.data.catalog.tuxpaint import column_of, read_texts
from plait.data.catalog.wheels import FetchError
from plait.data.split import find_leakage

STAMPS = "./usr/share/tuxpaint/stamps"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="red"/></svg>'
Content = bytes | tarfile.TarInfo


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def tarball(files: dict[str, Content], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def build_deb(path: Path, files: dict[str, Content], *, package: str = tuxpaint.PACKAGE, suffix: str = "xz") -> Path:
    control = f"Package: {package}\nVersion: 9.9-1\nDescription: stamps\n more: words\n".encode()
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar.{suffix}": tarball({"./control": control}, f"w:{suffix}"),
        f"data.tar.{suffix}": tarball(files, f"w:{suffix}"),
    }
    made = b"!<arch>\n"
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        made += b"\n" if len(content) % 2 else b""
    path.write_bytes(made)
    return path


def stamps() -> dict[str, Content]:
    files: dict[str, Content] = {f"./usr/share/doc/{tuxpaint.PACKAGE}/copyright": b"GPL-2"}
    for i in range(20):
        folder = f"{STAMPS}/{['animals/birds', 'food'][i % 2]}/thing{i}"
        files[f"{folder}.png"] = png(i)
        chinese = f"zh_CN.utf8=东西{i}。\n" if i != 3 else ""
        files[f"{folder}.txt"] = f"A thing {i // 4}.\nfr.utf8=Une chose {i}.\n{chinese}no such line\n".encode()
        files[f"{folder}_desc_fr.ogg"] = f"fr{i}".encode()
    files[f"{STAMPS}/food/thing1_desc.ogg"] = b"en1"
    files[f"{STAMPS}/food/thing1.ogg"] = b"crunch"
    files[f"{STAMPS}/food/thing1_mirror.png"] = png(99)
    files[f"{STAMPS}/food/drawn.svg"] = SVG
    files[f"{STAMPS}/food/drawn.txt"] = b"A drawing."
    files[f"{STAMPS}/food/broken.svg"] = b"<svg"
    files[f"{STAMPS}/food/both.svg"], files[f"{STAMPS}/food/both.png"] = SVG, png(200)
    return files


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    return build_deb(tmp_path / "stamps.deb", stamps())


def table_rows(table: Path) -> dict[str, dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def test_a_package_becomes_a_table(deb: Path, tmp_path: Path) -> None:
    table = fetch_dataset("tuxpaint", tmp_path / "out", from_file=deb)
    rows = table_rows(table)
    assert list(rows["food/thing1"]) == [
        "id", "image", "category", "text_en", "text_zh_CN", "audio", "sound", "split",
    ]  # fmt: skip
    one, three, drawn = rows["food/thing1"], rows["food/thing3"], rows["food/drawn"]
    assert (one["category"], one["text_en"], one["text_zh_CN"]) == ("food", "A thing 0.", "东西1。")
    assert (table.parent / one["audio"]).read_bytes() == b"en1"  # English was asked for before French
    assert (table.parent / one["sound"]).read_bytes() == b"crunch"
    assert (table.parent / three["audio"]).read_bytes() == b"fr3" and three["sound"] == ""
    assert three["text_zh_CN"] == "" and drawn["audio"] == ""
    with Image.open(table.parent / drawn["image"]) as picture:
        assert picture.size == (512, 256) and picture.convert("RGB").getpixel((100, 100)) == (255, 0, 0)
    assert (table.parent / rows["food/both"]["image"]).read_bytes() == png(200)  # a PNG goes before its SVG
    assert {row["split"] for row in rows.values()} == {"train", "val", "test"}
    assert find_leakage([r["split"] for r in rows.values()], {"t": [r["text_en"] or None for r in rows.values()]}) == []
    assert (table.parent / "LICENCE.txt").read_bytes() == b"GPL-2"
    card = read_card(table)
    assert card["counts"] == {
        "pictures": 22, "pictures drawn from SVG": 1, "pictures left out: SVG that cannot be drawn": 1,
        "pictures left out: mirrored or flipped twin": 1, "speech in en": 1, "speech in fr": 19, "with a sound": 1,
        "with speech": 20, "with text in en": 21, "with text in zh_CN": 19,
    }  # fmt: skip
    assert (card["rows"], card["version"], card["sha256_known"]) == (22, "9.9-1", False)
    assert card["deb_sha256"] == debian.sha256_of(deb)


def test_languages_and_seed_are_chosen_and_kept(deb: Path, tmp_path: Path) -> None:
    table = fetch_dataset("tuxpaint", tmp_path / "out", from_file=deb, languages=["fr", "en"], seed=3)
    one = table_rows(table)["food/thing1"]
    assert one["text_fr"] == "Une chose 1." and (table.parent / one["audio"]).read_bytes() == b"fr1"
    assert fetch_dataset("tuxpaint", tmp_path / "out", languages=["fr", "en"], seed=3) == table  # no package needed
    with pytest.raises(ValueError, match=r"with languages \['fr', 'en'\], not \('en',\); nothing there was changed"):
        fetch_dataset("tuxpaint", tmp_path / "out", languages=["en"])
    other = fetch_dataset("tuxpaint", tmp_path / "other", from_file=deb, seed=4)
    splits = [[r["split"] for r in table_rows(t).values()] for t in (table, other)]
    assert splits[0] != splits[1]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh_cn", "unknown language 'zh_cn'. Did you mean 'zh_CN'"),
        ("zh_TW", "unknown language 'zh_TW'. Did you mean 'zh_CN'"),
        ("", "unknown language ''"),
    ],
)
def test_unknown_language(deb: Path, tmp_path: Path, language: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fetch_dataset("tuxpaint", tmp_path / "out", from_file=deb, languages=[language])
    assert not (tmp_path / "out").exists()


def test_options_go_to_the_set_that_takes_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'easy-vqa' takes no languages"):
        fetch_dataset("easy-vqa", tmp_path / "out", languages=["en"])


def test_texts_of_a_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("A frog.\nsr@latin.utf8=\u017daba.\nzh_TW.UTF-8=青蛙\nde.utf8=\n".encode())
    assert read_texts(path) == {"en": "A frog.", "sr@latin": "\u017daba.", "zh_TW": "青蛙"}
    assert read_texts(tmp_path / "none.txt") == {}
    assert column_of("ca@valencia") == "text_ca_valencia"


def test_drawings_are_counted_where_nothing_draws(deb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    card = read_card(fetch_dataset("tuxpaint", tmp_path / "out", from_file=deb))
    assert card["counts"]["pictures left out: SVG (pip install plait[svg] draws them)"] == 2 and card["rows"] == 21


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("suffix", ["xz", "gz", "bz2"])
def test_unpacking_writes_plain_files_only(tmp_path: Path, suffix: str) -> None:
    odd: dict[str, Content] = {
        "./a/b.txt": b"b", "./c": link("./c", tarfile.SYMTYPE), "./d": link("./d", tarfile.CHRTYPE), "./no": b"n",
    }  # fmt: skip
    deb = build_deb(tmp_path / "x.deb", odd, package="x", suffix=suffix)
    (tmp_path / "into").mkdir()
    found = unpack_deb(deb, tmp_path / "into", wanted=lambda path: path != "no", known={})
    assert (found.package, found.version, found.num_files) == ("x", "9.9-1", 1)
    assert [p.relative_to(tmp_path / "into").as_posix() for p in (tmp_path / "into").rglob("*")] == ["a", "a/b.txt"]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    deb = build_deb(tmp_path / "x.deb", {name: b"x"})
    (tmp_path / "into").mkdir()
    with pytest.raises(ValueError, match="leads out of the folder"):
        unpack_deb(deb, tmp_path / "into", wanted=lambda path: True, known={})
    assert not (tmp_path / "out.txt").exists()


def test_limits_and_damage(deb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "into"
    into.mkdir()

    def unpack(path: Path, known: dict[str, str] | None = None) -> Any:
        return unpack_deb(path, into, wanted=lambda path: False, known=known or {})

    with pytest.raises(ValueError, match=r"says that it is version 9.9-1 but is not that file"):
        unpack(deb, {"9.9-1": "0" * 64})
    with pytest.raises(ValueError, match="no such file"):
        unpack(tmp_path / "none.deb")
    for content, said in (
        (b"PK\x03\x04", "no ar archive"),
        (deb.read_bytes()[:40], "broken ar header"),
        (deb.read_bytes()[:-400], "ends in the middle of data.tar.xz"),
        (b"!<arch>\n", "no control.tar"),
    ):
        (tmp_path / "bad.deb").write_bytes(content)
        with pytest.raises(ValueError, match=said):
            unpack(tmp_path / "bad.deb")
    monkeypatch.setattr(debian, "MOST_FILES", 5)
    with pytest.raises(ValueError, match="more than 5 files"):
        unpack(deb)


def test_another_package_is_refused(tmp_path: Path) -> None:
    deb = build_deb(tmp_path / "x.deb", stamps(), package="tuxpaint")
    with pytest.raises(ValueError, match="is the package 'tuxpaint'; expected tuxpaint-stamps-default"):
        fetch_dataset("tuxpaint", tmp_path / "out", from_file=deb)


def fake_apt(folder: Path, body: str) -> str:
    path = folder / "apt-get"
    path.write_text(f"#!{sys.executable}\nimport pathlib, sys\nassert sys.argv[1] == 'download'\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_download_by_apt(deb: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(tuxpaint, "KNOWN", {"9.9-1": debian.sha256_of(deb)})
    body = f"pathlib.Path(sys.argv[2] + '_9.9-1_all.deb').write_bytes(pathlib.Path({str(deb)!r}).read_bytes())"
    apt = fake_apt(tmp_path, body)
    monkeypatch.setattr(debian.shutil, "which", lambda name: apt if name == "apt-get" else None)
    table = fetch_dataset("tuxpaint", tmp_path / "out", progress=lambda *given: told.append(given))
    assert read_card(table)["sha256_known"] is True
    assert ("fetching tuxpaint-stamps-default, MB", 161, 161) in told and ("writing stamps", 23, 23) in told
    assert [p.name for p in (cache / "debs").iterdir()] == ["tuxpaint-stamps-default_9.9-1_all.deb"]
    monkeypatch.setattr(debian.shutil, "which", lambda name: pytest.fail("a package in the cache is not fetched again"))
    fetch = debian.fetch_deb(tuxpaint.PACKAGE, known=tuxpaint.KNOWN, progress=lambda *given: None)
    assert fetch.parent == cache / "debs"


def test_download_that_fails_says_what_to_type(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = fake_apt(tmp_path, "print('E: Unable to locate package'); sys.exit(100)")
    monkeypatch.setattr(debian.shutil, "which", lambda name: apt)
    with pytest.raises(FetchError, match=r"(?s)ended with 100.*apt-get update.*--from FILE.deb.*Unable to locate"):
        fetch_dataset("tuxpaint", tmp_path / "out")
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    with pytest.raises(FetchError, match=r"apt-get was not found.*--from FILE.deb"):
        fetch_dataset("tuxpaint", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_stamp_is_counted_once(deb: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    unpack_deb(deb, tmp_path / "x", wanted=lambda path: True, known={})
    counts: Counter[str] = Counter()
    found = tuxpaint.read_stamps(tmp_path / "x" / STAMPS, counts)
    assert len(found) == len({s.id for s in found}) == 23
    assert json.dumps(sorted(counts.items())) == '[["pictures left out: mirrored or flipped twin", 1]]'


def test_the_command_prints_the_counts(deb: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from plait.cli.main import app

    given = ["data", "tuxpaint", "--from", str(deb), "--language", "en", "-o", str(tmp_path / "out"), "--quiet"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "pictures: 22\n" in done.output and "speech in fr: 19\n" in done.output
    done = CliRunner().invoke(app, [*given, "--json"])
    assert json.loads(done.stdout)["counts"]["with text in en"] == 21
