"""The page in a real browser: filled in, answered, explained; errors; keyboard; narrow and dark; both languages."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures import browser
from fixtures.browser import Browser
from fixtures.lazy import lazy
from fixtures.messages import SRC
from fixtures.settings import QUICK
from plait.data.kinds import COLUMN_KINDS
from plait.serve.options import ServeOptions

pytest.importorskip("fastapi", reason="extra serve")
plait = lazy("plait")
needs_chromium = pytest.mark.skipif(not browser.is_there(), reason="needs chromium and chromedriver")
TOKEN = "a-token-of-the-tests"
TAB, ENTER = "\ue004", "\ue007"


class Running:
    """A server on loopback in a thread of this process."""

    def __init__(self, fitted: Any, index: Any = None, **options: Any) -> None:
        import io

        import uvicorn

        from plait.serve.app import make_app
        from plait.serve.log import Log
        from plait.serve.server import Server
        from plait.serve.work import ServedModel

        self.log = io.StringIO()
        self.server = Server(ServedModel(fitted, index), ServeOptions(**options), Log(self.log))
        config = uvicorn.Config(make_app(self.server), port=0, log_config=None, lifespan="on", ws="none")
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        self._thread.start()
        while not self.server.is_ready:
            time.sleep(0.02)
        self.address = f"http://127.0.0.1:{self._uvicorn.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="module")
def running(fitted: Any) -> Iterator[Running]:
    made = Running(fitted)
    yield made
    made.stop()


@pytest.fixture
def photo(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    (tmp_path / "photo.png").write_bytes(rows[0]["image"])
    return tmp_path / "photo.png"


def words_of(page: str) -> dict[str, dict[str, str]]:
    """The texts of a page by language and key."""
    text = (SRC / "serve" / page).read_text("utf-8")
    english, chinese = re.search(r"const WORDS = \{\nen: \{(.*?)\},\nzh: \{(.*?)\}\};", text, re.DOTALL).groups()  # type: ignore[union-attr]
    pair = re.compile(r'(\w+):"((?:[^"\\]|\\.)*)"')
    return {"en": dict(pair.findall(english)), "zh": dict(pair.findall(chinese))}


@pytest.mark.parametrize("page", ["page.html", "docs.html"])
def test_every_text_is_said_in_both_languages(page: str) -> None:
    words = words_of(page)
    assert set(words["en"]) == set(words["zh"]) and len(words["en"]) > 8
    holes = re.compile(r"\{\d\}")
    for key, text in words["en"].items():
        other = words["zh"][key]
        assert sorted(holes.findall(text)) == sorted(holes.findall(other)), key
        assert key == "other" or re.search(r"[\u4e00-\u9fff]", other) or "{" in other or "2024" in other, key
    source = (SRC / "serve" / page).read_text("utf-8")
    used = set(re.findall(r'data-t="(\w+)"', source)) | set(re.findall(r'say\("(\w+)"', source))
    prefixes = {key for key in used if key.endswith("_")}  # say("k_" + kind)
    assert used - prefixes <= set(words["en"])
    assert page != "page.html" or {f"k_{kind}" for kind in COLUMN_KINDS} <= set(words["en"])


def test_every_reason_of_a_refusal_has_words_on_the_page() -> None:
    """Whatever code the server refuses with, the page has a sentence for it in both languages."""
    codes = set()
    for path in (SRC / "serve").glob("*.py"):
        text = path.read_text("utf-8")
        codes |= set(re.findall(r'Refusal\(\s*\d{3},\s*"(\w+)"', text))
        codes |= set(re.findall(r'\d{3}: "(\w+_\w+)"', text))
    codes |= {"bad_image", "bad_audio", "deadline", "cancelled"}
    assert len(codes) > 30 and {"e_" + code for code in codes} <= set(words_of("page.html")["en"])


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_photo_words_and_numbers_are_answered_and_explained(running: Running, photo: Path) -> None:
    page = Browser((1400, 900))
    try:
        page.open(running.address)
        page.wait("document.querySelectorAll('#fields .field').length === 4")
        page.type("[data-name=text]", "it was sunny on day 100")
        page.type("input[type=file]", str(photo))
        page.wait("document.querySelector('.shown img')?.naturalWidth === 32")
        page.type("[data-name=size]", "50.25")
        page.run("document.querySelector('[data-name=grade]').value = 'b'")
        page.click("#go")
        page.wait("document.querySelectorAll('.map i').length === 36")
        said = page.run("return document.getElementById('result').innerText")
        offline = running.server.served.fitted.predict(
            {"text": "it was sunny on day 100", "image": photo.read_bytes(), "size": 50.25, "grade": "b"}, coverage=0.9
        ).to_pylist()[0]
        assert page.run("return document.querySelector('.answer').textContent") == offline["prediction"]
        assert f"{100 * offline['probability']:.1f}".rstrip("0").rstrip(".") + "%" in said
        assert page.run("return [...document.querySelectorAll('.chips li')].map(e => e.textContent)") == offline["set"]
        assert page.run("return document.querySelectorAll('.words span').length") == 6
        assert not page.complaints()
        page.click("#lang")
        assert "概率" in page.run("return document.body.innerText")
        assert page.run("return document.documentElement.lang") == "zh-CN"
        assert page.run("return document.querySelector('[data-name=text]').value") == "it was sunny on day 100"
        page.click("#clear")
        assert page.run("return document.querySelector('[data-name=text]').value") == ""
        assert page.run("return document.querySelectorAll('.shown img').length") == 0
    finally:
        page.close()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_what_the_model_is_worth_stands_beside_its_answer(fitted: Any) -> None:
    """One at chance has a warning and no large blue answer; of another the verdict stands below the answer."""
    served = Running(fitted)
    weak = {"verdict": "The model cannot be told from chance.", "caution": "Not told from guessing.", "judged": None}
    page = Browser((1200, 900))
    try:
        for standing, is_weak in ((weak, True), ({**weak, "verdict": "It is good.", "caution": None}, False)):
            served.server.served.standing = standing
            page.open(served.address)
            page.wait("document.querySelectorAll('#fields .field').length === 4")
            assert page.run("return document.querySelectorAll('.doubt').length") == int(is_weak)
            page.type("[data-name=text]", "it was sunny on day 100")
            page.click("#go")
            page.wait("document.querySelector('.answer')")
            said = page.run("return document.getElementById('result').innerText")
            size = page.run("return parseFloat(getComputedStyle(document.querySelector('.answer')).fontSize)")
            assert ("Do not rely on these answers" in said) == is_weak and (size < 22) == is_weak
            assert standing["verdict"] in said and ("How good the model is: It is good." in said) != is_weak
            assert not page.complaints()
        served.server.served.standing = weak
        page.click("#lang")
        page.open(served.address)
        page.wait("document.querySelector('.doubt')")
        assert "请勿依赖这些回答" in page.run("return document.getElementById('result').innerText")
    finally:
        page.close()
        served.stop()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_photo_is_dropped_and_what_is_no_photo_is_refused(running: Running, photo: Path) -> None:
    page = Browser((800, 900))
    try:
        page.open(running.address)
        page.wait("document.querySelectorAll('#fields .field').length === 4")
        page.drop(".drop", photo.read_bytes(), "photo.png", "image/png")
        page.wait("document.querySelector('.shown img')?.naturalWidth === 32")
        assert not page.run("return document.querySelector('.drop').classList.contains('over')")
        page.click("#go")
        page.wait("document.querySelectorAll('.answer').length === 1")
        offline = running.server.served.fitted.predict([{"image": photo.read_bytes()}]).to_pylist()[0]
        assert page.run("return document.querySelector('.answer').textContent") == offline["prediction"]
        page.click("#clear")
        page.drop(".drop", b"no picture at all", "notes.txt", "text/plain")
        page.click("#go")
        page.wait("document.getElementById('problem').textContent.length > 10")
        assert "Traceback" not in page.run("return document.body.innerText")
    finally:
        page.close()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_on_a_phone_by_keyboard_in_the_dark(running: Running) -> None:
    page = Browser((390, 844), dark=True, language="zh-CN")
    try:
        page.open(running.address)
        page.wait("document.querySelectorAll('#fields .field').length === 4")
        assert page.run("return document.documentElement.lang") == "zh-CN"
        dark = page.run("return getComputedStyle(document.body).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150
        page.click("#go")  # nothing is filled in
        page.wait("document.querySelector('#problem .error')")
        assert "请至少填写一项" in page.run("return document.getElementById('problem').innerText")
        page.run("document.querySelector('[data-name=text]').focus()")
        page.press(*"sunny")
        seen = []
        for _ in range(8):
            page.press(TAB)
            seen.append(page.run("return document.activeElement.id || document.activeElement.tagName"))
            if seen[-1] == "go":
                break
        assert seen[-1] == "go" and "field-1" in seen  # the file input is reached too
        page.press(ENTER)
        page.wait("document.querySelector('.answer')")
        page.wait("document.querySelectorAll('.words span').length")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        small = page.run(
            "return [...document.querySelectorAll('button,select,input:not([type=file])')].filter(e => e.offsetParent "
            "&& e.getBoundingClientRect().height < 36).map(e => e.outerHTML)"
        )
        assert not small and not page.complaints()
    finally:
        page.close()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_errors_and_tokens(fitted: Any, photo: Path, tmp_path: Path) -> None:
    served = Running(fitted, token=TOKEN, max_pixels=10_000)
    page = Browser((800, 900))
    try:
        page.open(served.address)
        page.wait("!document.getElementById('door').hidden")
        page.type("#token", "wrong-token-wrong-token")
        page.click("#door button")
        page.wait("document.querySelector('#fatal .error')")
        page.run("document.getElementById('token').value = ''")
        page.type("#token", TOKEN)
        page.click("#door button")
        page.wait("document.querySelectorAll('#fields .field').length === 4")
        from PIL import Image

        Image.new("RGB", (200, 100)).save(tmp_path / "large.png")
        page.type("input[type=file]", str(tmp_path / "large.png"))
        page.click("#go")
        page.wait("document.querySelector('#problem .error')")
        said = page.run("return document.getElementById('problem').innerText")
        assert "The picture is too large" in said and "200 x 100" in said
        assert page.run("return document.activeElement.id") == "field-1"
        (tmp_path / "not.png").write_text("no picture")
        page.type("input[type=file]", str(tmp_path / "not.png"))
        page.click("#go")
        page.wait("document.getElementById('problem').innerText.includes('no picture that can be read')")
        page.open(served.address + "/docs")
        page.wait("document.querySelectorAll('#routes section').length > 5")
        assert "/v1/predict" in page.run("return document.body.innerText")
    finally:
        page.close()
        served.stop()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(280)
def test_search_with_small_pictures(coloured_model: Path, coloured_photos: Path, tmp_path: Path) -> None:
    from plait.index import build_index, open_index

    fitted = plait.load(coloured_model)
    build_index(fitted, coloured_photos, tmp_path / "index")
    index = open_index(tmp_path / "index", fitted)
    served = Running(fitted, index)
    page = Browser((800, 900))
    try:
        page.open(served.address)
        page.wait("document.querySelectorAll('#fields .field').length === 2")
        page.type("[data-name=text]", "a red square 0")
        page.click("#go")
        page.wait("document.querySelectorAll('.hits img').length === 12")
        page.wait("[...document.querySelectorAll('.hits img')].every(image => image.naturalWidth > 0)")
        shown = page.run("return [...document.querySelectorAll('.hits .say div')].map(e => e.textContent)")
        assert shown == [hit.text() or hit.id for hit in index.search("a red square 0", k=12)]
        page.click("#clear")
        page.type("input[type=file]", str(coloured_photos.parent / "img/0.png"))
        page.click("#go")
        page.wait("document.querySelectorAll('.hits img').length === 12")
        assert not page.complaints()
    finally:
        page.close()
        served.stop()


@needs_chromium
@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_sound_is_recorded_and_a_question_is_not_offered() -> None:
    """The browser's own microphone test tone is recorded, sent as WAV and answered."""
    pytest.importorskip("soundfile", reason="extra audio")
    rng = np.random.default_rng(0)
    rows = [
        {"call": {"array": 0.5 * np.sin(np.arange(1600) * (0.2 if i % 2 else 1.2)) + rng.normal(0, 0.01, 1600),
                  "sampling_rate": 8000}, "label": ["low", "high"][i % 2]} for i in range(24)
    ]  # fmt: skip
    fitted = plait.fit(
        rows, "label", epochs=1, set=[*QUICK, "encoders.audio=scratch:audio", "encoders.audio_seconds=0.4"]
    )
    served = Running(fitted)
    page = Browser((390, 844))
    try:
        page.open(served.address)
        page.wait("document.querySelectorAll('#fields .field').length === 1")
        assert page.run("return document.getElementById('tabs').hidden")
        page.click("#fields button")
        page.wait("document.querySelector('#fields button[aria-pressed=true]')")
        time.sleep(1)
        page.click("#fields button[aria-pressed=true]")
        page.wait("document.querySelector('.shown audio')")
        page.click("#go")
        page.wait("document.querySelector('.answer')")
        page.wait("document.querySelectorAll('.spans i').length")
        assert page.run("return document.querySelector('.answer').textContent") in ("low", "high")
        assert not page.complaints()
    finally:
        page.close()
        served.stop()
