"""The stamps of Tux Paint as one table: a picture, its description in many languages, its description spoken, a sound.

In comes the Debian package ``tuxpaint-stamps-default``; out come ``table.csv`` and the files it names. A stamp is
one row. Its category is the top folder in the package (animals, food, vehicles, ...), sixteen in all. The first
line of its text file is the English description, each further line one language:
``zh_CN.utf8=...``. Columns: ``id``, ``image``, ``category``, one ``text_<code>`` for each language chosen, ``audio``
(the description spoken, in the first chosen language that has a recording, else in the language with the most),
``sound`` (what the thing sounds like) and ``split``. What is missing is an empty cell, and is counted.

Language codes are those of the package: ISO 639 (``en``, ``fr``, ``ja``), with the country where the wording
differs by country (``zh_CN`` simplified and ``zh_TW`` traditional Chinese, ``pt_BR``) and the script or variety
after an ``@`` (``sr@latin``, ``ca@valencia``).
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debian_package import fetch_deb, unpack_deb
from plait.data.progress import Progress
from plait.data.split import split_rows
from plait.registry import unknown_name

PACKAGE = "tuxpaint-stamps-default"
KNOWN = {"2022.06.04-1": "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"}
LANGUAGES = ("en", "zh_CN")
FRACTIONS = (0.7, 0.15, 0.15)
_NUM_BYTES = 161_000_000
_STAMPS = "usr/share/tuxpaint/stamps/"
_COPYRIGHT = f"usr/share/doc/{PACKAGE}/copyright"
_LINE = re.compile(r"([A-Za-z]{2,3}(?:_[A-Z]{2})?(?:@[a-z]+)?)\.[Uu][Tt][Ff]-?8=(.*)")
_SPOKEN = re.compile(r"(?P<stem>.+)_desc(?:_(?P<language>[A-Za-z]{2,3}(?:_[A-Z]{2})?(?:@[a-z]+)?))?\.(?:ogg|wav)")
_ALTERED = ("_mirror", "_flip", "_mirror_flip")
_SIDE = 512  # pixels on the longer side of a drawn picture


@dataclass(frozen=True)
class Stamp:
    """A stamp as the package holds it; paths are relative to the folder of stamps."""

    id: str
    picture: Path
    texts: dict[str, str]
    spoken: dict[str, Path]
    sound: Path | None


def tuxpaint_table(folder: Path, languages: Sequence[str] = LANGUAGES) -> Path:
    """The table in a folder, fetched and written there unless it is there already."""
    if not (folder / "table.csv").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_tuxpaint(folder, lambda done, total, what: None, languages=languages)
    return folder / "table.csv"


def write_tuxpaint(
    folder: Path, progress: Progress, *, languages: Sequence[str] = (), from_file: Path | None = None, seed: int = 0
) -> tuple[int, dict[str, Any]]:
    """Fill a folder with the table and its files.

    Args:
        folder: An empty folder.
        progress: Told what is going on.
        languages: Codes of the languages to write, the first that has a recording being the one heard; none: English
            and simplified Chinese.
        from_file: A ``.deb`` to read; None downloads it.
        seed: Seed of the split.

    Returns:
        The number of rows, and what to record beside them: version, hash, languages and counts.

    Raises:
        ValueError: An unknown language, or a package that cannot be had or read.
    """
    asked = tuple(dict.fromkeys(languages)) or LANGUAGES
    deb = from_file or fetch_deb(PACKAGE, known=KNOWN, num_bytes=_NUM_BYTES, progress=progress)
    with tempfile.TemporaryDirectory(prefix=".stamps-", dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        progress(0, 0, "unpacking")
        package = unpack_deb(deb, Path(scratch), wanted=_is_wanted, known=KNOWN)
        if package.package != PACKAGE:
            raise ValueError(f"{deb} is the package {package.package!r}; expected {PACKAGE}")
        root = Path(scratch) / _STAMPS
        counts: Counter[str] = Counter()
        stamps = read_stamps(root, counts)
        if not stamps:
            raise ValueError(f"{deb} holds no stamps under {_STAMPS}; expected the package {PACKAGE}")
        _check_languages(asked, stamps)
        rows = _write_rows(root, folder, stamps, asked, seed, counts, progress)
        copyright_file = Path(scratch) / _COPYRIGHT
        if copyright_file.is_file():
            shutil.copyfile(copyright_file, folder / "LICENCE.txt")
    facts = {
        "version": package.version, "deb_sha256": package.sha256, "sha256_known": package.version in KNOWN,
        "languages": list(asked), "seed": seed, "counts": dict(sorted(counts.items())),
    }  # fmt: skip
    return rows, facts


def _is_wanted(path: str) -> bool:
    return path.startswith(_STAMPS) or path == _COPYRIGHT


def read_stamps(root: Path, counts: Counter[str]) -> list[Stamp]:
    """The stamps under a folder, in order of their ids; what is not used is counted.

    Args:
        root: The folder of stamps.
        counts: Completed: pictures left out, odd files.
    """
    found: list[Stamp] = []
    for where in sorted({p.parent for p in root.rglob("*") if p.is_file() and p.parent != root}):
        names = {p.name for p in where.iterdir() if p.is_file()}
        stems = sorted({Path(n).stem for n in names if n.endswith((".png", ".svg"))})
        spoken: dict[str, dict[str, Path]] = {}
        for name in sorted(names):
            match = _SPOKEN.fullmatch(name)
            if match is not None:
                spoken.setdefault(match["stem"], {})[match["language"] or "en"] = (where / name).relative_to(root)
        for stem in stems:
            if stem.endswith(_ALTERED) and any(stem.removesuffix(a) in stems for a in _ALTERED if stem.endswith(a)):
                counts["pictures left out: mirrored or flipped twin"] += 1
                continue
            picture = where / (f"{stem}.png" if f"{stem}.png" in names else f"{stem}.svg")
            sounds = [where / f"{stem}{end}" for end in (".ogg", ".wav") if f"{stem}{end}" in names]
            found.append(
                Stamp(
                    (where / stem).relative_to(root).as_posix(),
                    picture.relative_to(root),
                    read_texts(where / f"{stem}.txt"),
                    spoken.get(stem, {}),
                    sounds[0].relative_to(root) if sounds else None,
                )
            )
    return sorted(found, key=lambda stamp: stamp.id)


def read_texts(path: Path) -> dict[str, str]:
    """The descriptions in a text file by language code; none where there is no file.

    Lines that name another language than the pattern are left out.
    """
    if not path.is_file():
        return {}
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    texts = {"en": lines[0].strip()} if lines else {}
    for line in lines[1:]:
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            texts[match[1]] = match[2].strip()
    return {code: text for code, text in texts.items() if text}


def _check_languages(asked: tuple[str, ...], stamps: list[Stamp]) -> None:
    known = sorted({code for stamp in stamps for code in (*stamp.texts, *stamp.spoken)})
    for code in asked:
        if code not in known:
            raise ValueError(unknown_name("language", code, known))


def _write_rows(
    root: Path, folder: Path, stamps: list[Stamp], asked: tuple[str, ...], seed: int, counts: Counter[str],
    progress: Progress,
) -> int:  # fmt: skip
    draw = _drawer() if any(s.picture.suffix == ".svg" for s in stamps) else None
    rows: list[dict[str, str]] = []
    spoken_overall = Counter(code for s in stamps for code in s.spoken)
    by_count = [code for code, _ in sorted(spoken_overall.items(), key=lambda entry: (-entry[1], entry[0]))]
    for number, stamp in enumerate(stamps, start=1):
        image = _put_picture(root, folder, stamp, draw, counts)
        if number % 50 == 0 or number == len(stamps):
            progress(number, len(stamps), "writing stamps")
        if image is None:
            continue
        language = next((code for code in (*asked, *by_count) if code in stamp.spoken), None)
        audio = _put_sound(root, folder, stamp.spoken[language], "speech") if language is not None else ""
        sound = _put_sound(root, folder, stamp.sound, "sounds") if stamp.sound is not None else ""
        row = {"id": stamp.id, "image": image, "category": stamp.id.split("/")[0]}
        row |= {column_of(code): stamp.texts.get(code, "") for code in asked}
        rows.append(row | {"audio": audio, "sound": sound})
        counts["pictures"] += 1
        counts["with speech"] += bool(audio)
        counts["with a sound"] += bool(sound)
        counts.update(f"with text in {code}" for code in asked if code in stamp.texts)
        if language is not None:
            counts[f"speech in {language}"] += 1
    if not rows:
        raise ValueError("no stamp has a picture that could be written")
    english = {s.id: s.texts.get("en") for s in stamps}  # two drawings of one thing stay on one side
    split = split_rows(
        len(rows), target=[r["category"] for r in rows], group=[english[r["id"]] for r in rows], fractions=FRACTIONS,
        seed=seed,
    )  # fmt: skip
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "split"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "split": str(part)} for row, part in zip(rows, split, strict=True))
    return len(rows)


def column_of(language: str) -> str:
    """The name of the column with the descriptions in a language.

    Example:
        >>> column_of("zh_CN"), column_of("sr@latin")
        ('text_zh_CN', 'text_sr_latin')
    """
    return "text_" + language.replace("@", "_")


def _put_picture(
    root: Path, folder: Path, stamp: Stamp, draw: Callable[[bytes], bytes] | None, counts: Counter[str]
) -> str | None:
    place = folder / "images" / f"{stamp.id}.png"
    if stamp.picture.suffix == ".svg":
        if draw is None:
            counts["pictures left out: SVG (pip install resvg-py draws them)"] += 1
            return None
        try:
            content = draw((root / stamp.picture).read_bytes())
        except Exception:  # whatever a renderer raises for a drawing that it cannot read
            counts["pictures left out: SVG that cannot be drawn"] += 1
            return None
        counts["pictures drawn from SVG"] += 1
    else:
        content = (root / stamp.picture).read_bytes()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place.relative_to(folder).as_posix()


def _put_sound(root: Path, folder: Path, path: Path, where: str) -> str:
    place = folder / where / path
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / path, place)
    return place.relative_to(folder).as_posix()


def _drawer() -> Callable[[bytes], bytes] | None:
    """What turns SVG into PNG here: the package resvg-py, else the command rsvg-convert; None without either."""
    try:
        import resvg_py
    except ImportError:
        command = shutil.which("rsvg-convert")
        if command is None:
            return None
        options = [command, "--format", "png", "--width", str(_SIDE), "--height", str(_SIDE), "--keep-aspect-ratio"]
        return lambda svg: subprocess.run(options, input=svg, capture_output=True, check=True, timeout=60).stdout

    def by_resvg(svg: bytes) -> bytes:
        made = bytes(resvg_py.svg_to_bytes(svg_string=svg.decode("utf-8"), width=_SIDE))
        return _at_most(made, _SIDE)

    return by_resvg


def _at_most(png: bytes, side: int) -> bytes:
    """A picture no larger than a side in pixels, both ways."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        if max(picture.size) <= side:
            return png
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()
