"""``--allow-remote``: whoever reads a table asks the same, and the model does not know where its photos came from."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.media import red_or_blue
from fixtures.remote_site import Site, site
from fixtures.settings import SCRATCH
from plait.cli import check, compare, evaluate, explain, fit, generate, index, predict
from plait.index import build_index
from plait.settings import RunSettings

open_run = lazy("plait.api.opening", "open_run")

__all__ = ["site"]
VERBS: list[Any] = [
    check.check, compare.compare, evaluate.evaluate, explain.explain, fit.fit, generate.caption, predict.predict,
    index.index_add, index.index_build, index.index_update,
]  # fmt: skip


def test_every_verb_that_reads_a_table_has_the_flag() -> None:
    assert [verb.__name__ for verb in VERBS if "allow_remote" not in inspect.signature(verb).parameters] == []
    methods = ("predict", "predict_proba", "evaluate", "explain", "generate", "score_answers", "embed", "classify")
    calls = [plait.fit, plait.check, plait.compare, *(getattr(plait.Plait, name) for name in methods)]
    assert [call.__name__ for call in calls if "allow_remote" not in inspect.signature(call).parameters] == []


@pytest.mark.filterwarnings("default:objects of https:UserWarning")
def test_a_model_learns_from_addresses_and_does_not_remember_them(
    site: Site, cache: Path, tmp_path: Path, run: Any
) -> None:
    site.files |= {f"/{n}.png": red_or_blue(n % 2 == 0, n) for n in range(24)}
    rows = [f"{site.address(f'/{n}.png')}?sig=hush,{'ab'[n % 2]}" for n in range(24)]
    table = tmp_path / "photos.csv"
    table.write_text("photo,label\n" + "\n".join(rows) + "\n")
    words = ["fit", table, "--target", "label", "--preset", "single", "--epochs", 1, "--quiet"]
    words += [word for one in SCRATCH for word in ("--set", one)]
    code, out, err = run(*words, "-o", tmp_path / "no")
    assert code != 0 and "row 0" in out + err and "type --allow-remote" in out + err and not site.asked
    code, out, err = run(*words, "-o", tmp_path / "m", "--allow-remote")
    assert code == 0 and site.fetched() == 24, out + err
    kept = b"".join(p.read_bytes() for p in (tmp_path / "m").rglob("*") if p.is_file())
    for text in (out + err, kept.decode("latin-1")):
        assert "hush" not in text and str(cache) not in text
    steps: list[tuple[int, int, str]] = []
    given = {"data.target": "label", "data.allow_remote": True}
    open_run(table, given, RunSettings(), SCRATCH, annotations=None, progress=lambda *step: steps.append(step))
    assert steps == [(n, 24, "fetching") for n in range(1, 25)] and site.fetched() == 24
    cells = [row.rpartition(",")[0] for row in rows[:6]]
    pq.write_table(pa.table({"photo": cells}), tmp_path / "six.parquet")
    for flags, problems in ((["--allow-remote"], 0), ([], 6)):
        where = tmp_path / f"parts{problems}"
        code, out, err = run("predict", tmp_path / "m", tmp_path / "six.parquet", "-o", f"{where}/", "--quiet", *flags)
        answers = pq.read_table(next(where.rglob("*.parquet"))).column("problem").to_pylist()
        assert code == 0 and sum(one is not None for one in answers) == problems, err
    assert site.fetched() == 24
    site.is_down = True  # everything is cached
    table.write_text("photo\n" + "\n".join(row.rpartition(",")[0] for row in rows[:3]) + "\nhttps://x.org/none.png\n")
    code, out, err = run("predict", tmp_path / "m", table, "-o", tmp_path / "p.csv", "--allow-remote", "--quiet")
    assert code == 0 and "cannot be reached now; their copies of an earlier run are used" in err
    found = (tmp_path / "p.csv").read_text()
    assert found.count("cannot be fetched") == 1 and "hush" not in found + out + err
    code, out, _ = run("predict", tmp_path / "m", table, "-o", tmp_path / "q.csv", "--quiet", "--json")
    assert json.loads(out)["problems"] == 4


def test_an_index_keeps_no_secret(site: Site, cache: Path, embedder: Any, tmp_path: Path) -> None:
    site.files |= {f"/{n}.png": red_or_blue(n % 2 == 0, n) for n in range(3)}
    cells = [f"{site.address(f'/{n}.png')}?token=hush{n}" for n in range(3)]
    made, report = build_index(embedder, {"image": cells}, tmp_path / "i", allow_remote=True)
    assert report.added == 3 and not report.bad_rows
    assert b"hush" not in b"".join(p.read_bytes() for p in (tmp_path / "i").rglob("*") if p.is_file())
    again = made.add({"image": cells}, allow_remote=True)
    assert again.embedded == 0 and site.fetched() == 3
