"""A page in Chinese says all that the English page says: headings, code, numbers, names in code, links.

What words mean no test can read. But a section, a row of a table, a block of code, a number, an option or a link that
only one of the two pages has is found here, so that a change of an English page asks for the same in Chinese.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
ZH = ".zh-CN.md"
ENGLISH_ONLY = ("benchmarks.md", "LOG.md", "new-users.md", "reference/", "decisions/")
PAIRS = [(page.with_name(page.name.replace(ZH, ".md")), page) for page in sorted(DOCS.rglob(f"*{ZH}"))]
NAMES = [english.relative_to(DOCS).as_posix() for english, _ in PAIRS]

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*?$", flags=re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+)\s+(.+?)\s*$", flags=re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`]+)`")
HAN = re.compile(r"[\u4e00-\u9fff]")
NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")

# One term for one thing: what stands on the left is the word, what stands on the right is not used beside it.
TERMS = {
    "晚期融合": ("后期融合", "后融合", "迟融合"),
    "分布外的行": ("异类行", "外来行", "陌生行"),
    "图像集合": ("图片集合", "图像集（", "图片集（"),
    "特征缓存": ("特征库", "特征仓库", "特征存储"),
    "未标注行": ("无标签行", "无标注行"),
    "弃答": ("弃权", "拒答"),
    "预测集": ("预测集合",),
    "自助法": ("自举法", "bootstrap"),
    "token": ("词元", "令牌化"),
    "任务头": ("输出头",),
    "加速卡": ("加速器",),
    "笔记本": ("记事本",),
}


def read(page: Path) -> str:
    return page.read_text("utf-8")


def pages(entry: Any) -> list[str]:
    """Pages of a part of the contents, in order."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in pages(part)]


def prose(text: str) -> str:
    return FENCE.sub("", text)


def sections(text: str) -> list[str]:
    """The text of each section, heading first; blocks of code are left out. The first is what stands before any."""
    bare = prose(text)
    cuts = [0, *(match.start() for match in HEADING.finditer(bare)), len(bare)]
    return [bare[a:b] for a, b in pairwise(cuts)]


def anchors(page: Path) -> list[str]:
    """Anchors of a page in order, as GitHub and the site make them (mkdocs.yml: `slugify`)."""
    headings = [text for _, text in HEADING.findall(prose(read(page)))]
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def code(words: str, body: str, known: set[str]) -> str:
    """A block without its comments. Of a chart in words (`text`): the names of the page that stand in it, in order."""
    kind = words.split()[0] if words.split() else ""
    if kind == "python":
        return ast.dump(ast.parse(body))
    if kind == "text" and words != "text seen":  # what a run printed is the same in both
        return " ".join(name for name in re.findall(r"[a-z]\w+", body) if name in known)
    lines = [re.sub(r"(^|\s)#.*$", "", line).rstrip() for line in body.splitlines()]
    return "\n".join(line for line in lines if line)


def blocks(page: Path, known: set[str]) -> list[tuple[str, str]]:
    return [(words, code(words, body, known)) for words, body in FENCE.findall(read(page))]


def numbers(text: str) -> Counter[str]:
    """Numbers of a text; those inside links, and the marks of a numbered list, are not counted."""
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return Counter(number.rstrip(".,") for number in NUMBER.findall(re.sub(r"^\d+\. ", "", text, flags=re.MULTILINE)))


def rows(text: str) -> list[str]:
    return [line for line in prose(text).splitlines() if line.startswith("|")]


def spans(text: str) -> Counter[str]:
    return Counter(" ".join(span.split()).replace(".zh-CN.", ".") for span in SPAN.findall(text))


def target(page: Path, link: str) -> str:
    """A link alike in both languages: the English page it means, and the number of the heading it leads to."""
    if re.match(r"[a-z]+:", link):
        return link
    path, _, anchor = link.partition("#")
    file = Path(os.path.normpath(page.parent / path)) if path else page
    alike = file.relative_to(DOCS).as_posix().replace(".zh-CN.", ".")
    if not anchor:
        return alike
    assert anchor in anchors(file), f"{page.name}: {link} leads to no heading"
    return f"{alike}#{anchors(file).index(anchor)}"


def test_every_guide_has_a_chinese_page_in_the_contents_in_the_same_order() -> None:
    parts = {name: pages(under) for part in SITE["nav"] for name, under in part.items()}
    english = [page for part in ("Start", "Tutorials", "Guides", "Running it") for page in parts[part]]
    translated = [page for page in english if not page.startswith(ENGLISH_ONLY)]
    assert parts["中文"] == [page.replace(".md", ZH) for page in translated]
    assert len(PAIRS) == len(translated)


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_each_page_leads_to_the_other_at_its_top(english: Path, chinese: Path) -> None:
    assert english.read_text("utf-8").splitlines()[2] == f"[中文]({chinese.name})"
    assert chinese.read_text("utf-8").splitlines()[2] == f"[English]({english.name})"


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_headings(english: Path, chinese: Path) -> None:
    levels = [[len(marks) for marks, _ in HEADING.findall(prose(read(p)))] for p in (english, chinese)]
    assert levels[0] == levels[1]
    assert len(set(anchors(chinese))) == len(anchors(chinese)), "two headings share an anchor"


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_code(english: Path, chinese: Path) -> None:
    known = set(spans(prose(read(english))))
    assert blocks(chinese, known) == blocks(english, known)


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_rows_of_tables_and_their_numbers(english: Path, chinese: Path) -> None:
    ours, theirs = rows(read(english)), rows(read(chinese))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.count("|") == other.count("|"), other
        assert numbers(one) == numbers(other), other


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_numbers_and_names_in_code_of_every_section(english: Path, chinese: Path) -> None:
    """Chinese may repeat a name or write a date in figures; it may leave none out."""
    both = zip(sections(read(english)), sections(read(chinese)), strict=True)
    for one, other in both:
        place = other.strip().partition("\n")[0]
        lost = set(numbers(one)) - set(numbers(other))
        assert not lost, f"{place}: lacks {sorted(lost)}"
        names = set(spans(one)) ^ set(spans(other))
        assert not names, f"{place}: in one of the two only: {sorted(names)}"


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_paragraphs_and_items_of_lists_of_every_section(english: Path, chinese: Path) -> None:
    item = re.compile(r"^(?:-|\d+\.) |\n\s*\n(?=\S)", flags=re.MULTILINE)
    both = zip(sections(read(english)), sections(read(chinese)), strict=True)
    counts = [(len(item.findall(one)), len(item.findall(other)), other.strip()[:40]) for one, other in both]
    assert not [line for line in counts if line[0] != line[1]]


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=NAMES)
def test_links(english: Path, chinese: Path) -> None:
    found = [{target(page, link) for link in LINK.findall(prose(read(page)))} for page in (english, chinese)]
    assert found[0] == found[1]
    for link in LINK.findall(prose(read(chinese))):  # a Chinese page leads to Chinese pages where there are any
        path = link.partition("#")[0]
        if path.endswith(".md") and not path.endswith(ZH) and path != english.name:
            assert not (chinese.parent / path.replace(".md", ZH)).exists(), f"{chinese.name} leads to {link}"


def test_the_search_of_the_site_finds_words_inside_chinese_sentences() -> None:
    """It finds what a word begins with, so every character must begin one."""
    search = next(plugin["search"] for plugin in SITE["plugins"] if isinstance(plugin, dict) and "search" in plugin)
    assert re.split(search["separator"], "何时弃答：Plait 0.5、fit") == ["何", "时", "弃", "答", "Plait", "0.5", "fit"]


def test_readme_leads_to_chinese_pages() -> None:
    for link in LINK.findall(prose((ROOT / "README.zh-CN.md").read_text("utf-8"))):
        path, _, anchor = link.partition("#")
        if path.startswith("docs/") and path.endswith(".md") and not path.endswith(ZH):
            assert not (ROOT / path.replace(".md", ZH)).exists(), f"README.zh-CN.md leads to {link}"
        if anchor:
            assert anchor in anchors(ROOT / path), f"README.zh-CN.md: {link} leads to no heading"


@pytest.mark.parametrize(
    "page", [ROOT / "README.zh-CN.md", *(chinese for _, chinese in PAIRS)], ids=lambda page: page.name
)
def test_one_term_and_full_width_marks(page: Path) -> None:
    text = re.sub(r"\]\([^)]*\)", "]", SPAN.sub("", prose(read(page))))
    other = [(word, instead) for instead, words in TERMS.items() for word in words if word in text]
    assert not other, f"{page.name}: (used, the term) {other}"
    lines = [line for line in prose(read(page)).splitlines() if not line.startswith(("|", "#"))]
    inside = [one[-12:] for one, other in pairwise(lines) if HAN.match(one[-1:]) and HAN.match(other.lstrip()[:1])]
    assert not inside, f"{page.name}: lines end inside a phrase, where a blank is shown: {inside}"
    half = re.findall(r".{0,12}[\u4e00-\u9fff][,;:?!](?:\s|[\u4e00-\u9fff]).{0,12}", text)
    assert not half, f"{page.name}: half-width marks {half}"
    half += re.findall(r".{0,12}(?:[\u4e00-\u9fff]\(|\([\u4e00-\u9fff]).{0,12}", text)
    tight = re.findall(r"[\u4e00-\u9fff][A-Za-z0-9].{0,12}|.{0,12}[A-Za-z0-9%][\u4e00-\u9fff]", text)
    assert not tight, f"{page.name}: no blank between Chinese and Latin {tight}"
