"""The documentation as a site: every page is in its contents, every public name in its reference, and it builds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import plait

ROOT = Path(__file__).resolve().parent.parent
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))


def pages(entry: object) -> list[str]:
    """Pages of a part of the contents."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in pages(part)]  # type: ignore[attr-defined]


def test_every_page_is_in_the_contents() -> None:
    written = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    listed = pages(SITE["nav"])
    assert sorted(listed) == sorted(written)


def test_tutorials_come_first_and_the_notebook_is_their_first() -> None:
    names = {page.name for page in (ROOT / "docs" / "tutorials").glob("*.md")}
    written = {f"tutorials/{name}" for name in names if not name.endswith(".zh-CN.md")}
    part = next(entry["Tutorials"] for entry in SITE["nav"][1:2] if "Tutorials" in entry)
    assert pages(part)[0] == "tutorials/first-steps.md"
    assert len(written) == 12 and written <= set(pages(part))


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    shown = {line.rsplit(".", 1)[1] for line in re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE)}
    assert set(plait.__all__) - {"__version__"} <= shown


def test_the_site_builds_and_asks_no_other_host(tmp_path: Path) -> None:
    zensical = Path(sys.executable).with_name("zensical")
    if not zensical.exists():
        pytest.skip("zensical is not installed (extra dev)")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "src").symlink_to(ROOT / "src")
    made = subprocess.run(
        [zensical, "build", "--config-file", "mkdocs.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert made.returncode == 0, made.stdout + made.stderr
    site = tmp_path / "build" / "site"
    reference = (site / "reference" / "fitting.html").read_text("utf-8")
    for words in ("A file, folder, data frame", "time_limit", "PlaitClassifier", "predict_proba"):
        assert words in reference
    for source in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.md")]:
        text = re.sub(r"^```.*?^```", "", source.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        shown = (site / source.relative_to(ROOT / "docs").with_suffix(".html")).read_text("utf-8")
        assert len(re.findall(r"^## ", text, flags=re.MULTILINE)) == shown.count("<h2 id="), (
            f"headings of {source.name}"
        )
        assert not re.findall(r'<h\d id="(?:_\d+)?"', shown), f"{source.name}: headings whose anchors have no words"
    assert all((site / "tutorials" / f"first-steps{language}.ipynb").is_file() for language in ("", ".zh-CN"))
    for picture in (ROOT / "docs").rglob("*.png"):
        assert (site / picture.relative_to(ROOT / "docs")).is_file() and picture.stat().st_size < 150_000
    for page in site.rglob("*.html"):
        outside = re.findall(r"<(?:script|link|img)\b[^>]*(?:src|href)=[\"']?https?://", page.read_text("utf-8"))
        assert not outside, f"{page.name} asks another host"
