"""Every verb takes ``--lang`` and ``PLAIT_LANG``, and leaves no English on the terminal under either."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from fixtures.lazy import lazy
from plait.cli.export import export_lines
from plait.cli.main import app
from plait.cli.speaking import Speaker

Profile, Spent = lazy("plait.api.profiling.result", "Profile", "Spent")
Limits = lazy("plait.api.profiling.limits", "Limits")
POINTS, BEFORE, REST = (
    lazy("plait.api.profiling.points", "POINTS"),
    "start of Python and of the command line",
    "everything else",
)
Log = lazy("plait.serve.log", "Log")
run_folder = lazy("plait.api.working_folder", "run_folder")
read_table = lazy("plait.data.table", "read_table")
Run = Callable[..., tuple[int, str, str]]
# Commands, options, names of packages, devices and papers, which are the same in every language.
KEPT = re.compile(r"plait [a-z-]+( [\w./:<>=-]+)*|pip install .*|python \S+|--\S+( \S+)?|Hugging Face hub|\S+\.example")


def english(told: str) -> list[str]:
    """Lines with two words of English or more in a row."""
    return [line for line in told.splitlines() if re.search(r"[A-Za-z]{2,}[ ,;:]+[a-z]{2,}", KEPT.sub("", line))]


def leaves(command: Any, name: str = "plait") -> Iterator[tuple[str, Any]]:
    """Every verb that does something, by its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, one in inner.items():
        yield from leaves(one, f"{name} {word}")


def test_every_verb_takes_a_language() -> None:
    verbs = dict(leaves(get_command(app)))
    lacking = []
    for name, verb in verbs.items():
        option = next((p for p in verb.params if p.name == "lang"), None)
        if option is None or option.opts != ["--lang"] or option.envvar != "PLAIT_LANG":
            lacking.append(name)
    assert len(verbs) > 35 and lacking == []


def test_the_environment_sets_it_once_and_what_is_typed_wins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_LANG", "zh")
    assert "未发现问题" in run("doctor")[1] and "nothing broken was found" in run("doctor", "--lang", "en")[1]
    assert json.loads(run("doctor", "--json")[1])["findings"][0]["title"] == "Python"
    assert "PLAIT_LANG" in run("doctor", "--help")[1]
    monkeypatch.setenv("PLAIT_LANG", "fr")
    code, _, err = run("doctor")
    assert code == 2 and "unknown language 'fr' (PLAIT_LANG). Known: en, zh" in err
    assert run("doctor", "--lang", "fr")[2].count("(--lang)") == 1
    monkeypatch.setenv("PLAIT_LANG", "")
    assert "nothing broken was found" in run("doctor")[1]


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (["doctor"], "依赖"), (["weights", "ls"], "plait weights fetch"), (["features", "ls"], "0 个空间"),
        (["features", "verify"], "个已损坏"), (["features", "gc"], "删除的空间 0；"), (["plugins"], "没有安装插件"),
    ],
    ids=lambda verb: " ".join(verb) if isinstance(verb, list) else "",
)  # fmt: skip
def test_verbs_on_this_installation_speak_chinese(verb: list[str], said: str, cache: Path, run: Run) -> None:
    code, out, err = run(*verb, "--lang", "zh")
    assert (code, err) == (0, "") and said in out
    assert english(out) == []


def test_fusions_say_what_they_can_in_chinese(run: Run) -> None:
    out = run("fusions", "--lang", "zh")[1]
    kinds = [line[20:].strip() for line in out.splitlines() if not line.startswith(" ")]
    assert len(kinds) > 20 and set("、".join(kinds).split("、")) == {
        "加性",
        "乘性",
        "注意力",
        "非线性",
        "后期融合",
        "读取词元",
    }


def test_the_table_of_a_profile_speaks_chinese() -> None:
    from plait.api.profiling import points

    phases = {
        name: Spent(2.0, 1.0, 3, 40.0, 1e9) for name in (*dict.fromkeys(p.phase for p in points.POINTS), BEFORE, REST)
    }
    told = Profile(90.0, 80.0, phases, Limits(100.0, 10.0, 50.0, 2)).table("zh")
    assert told.startswith("90.0 秒（处理器时间 80.0 秒）") and "40 张图片、每秒 13" in told and english(told) == []
    plain = Profile(90.0, 80.0, phases, Limits(100.0, 10.0, 50.0, 1))
    assert str(plain) == plain.table("en") and "(1 thread)" in str(plain) and "40 pictures, 13 a second" in str(plain)


def test_what_an_export_was_worth_is_said_in_chinese() -> None:
    speed = {"onnx": 900.0, "pytorch": 400.0, "threads": 2, "reading": 80.0}
    check = {"rows": 1200, "largest_difference": 1e-6, "rows_above_bound": 3, "accepted": 1e-4, "same_nearest": 0.9,
             "same_predictions": 1.0, "metric": "accuracy", "plait": 0.8, "onnx": 0.8}  # fmt: skip
    found = {
        "members": [{"name": "fused"}, {"name": "linear of text"}], "megabytes": 12.0, "packages": ["numpy"],
        "random": {"rows": 8, "largest_difference": 1e-6, "bound": 1e-4}, "output": "x", "optional_packages": ["soxr"],
        "check": check, "speed": speed,
        "int8": {"graph": "m8.onnx", "megabytes": 4.0, "check": check, "speed": speed | {"float": 500.0},
                 "how": "3 matrix products dynamic; 2 convolutions float32, for in eight bits they change the time "
                 "by +4% here"},
    }  # fmt: skip
    sides = found | {"speed": {"threads": 2, "sides": {"text": {"onnx": 9.0, "pytorch": 3.0}}}}
    for one in (found, sides):
        told = "\n".join(export_lines(one, Speaker("zh")))
        assert "已导出 融合网络、线性模型（text）：12.0 MB" in told and english(told.replace("m8.onnx", "")) == []
    assert "exported fused, linear of text: 12.0 MB" in export_lines(found, Speaker(None))


def test_the_log_of_a_server_speaks_chinese_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    facts: dict[str, dict[str, Any]] = {
        "loading": {"model": "m"}, "listening": {}, "ready": {"seconds": 2.5, "open": "http://x"},
        "warning": {"what": "anyone who reaches this address may use the model; set a token"},
        "caution": {"what": "This model cannot be told from guessing: accuracy 0.500, guessing 0.500."},
        "request": {"method": "POST", "route": "/v1/predict", "status": 200, "ms": 8.0, "rows": 1},
        "stopped": {"finished": False},
    }  # fmt: skip
    for event, one in facts.items():
        Log(for_people=True, lang="zh").write(event, **one)
    told = capsys.readouterr().err
    assert "正在加载 m ……" in told and "请打开 http://x" in told and "，1 行" in told and english(told) == []
    Log(for_people=False, lang="zh").write("caution", what="This model cannot be told from guessing.")
    assert json.loads(capsys.readouterr().err)["what"] == "This model cannot be told from guessing."


def test_suggest_and_augment_speak_chinese(posts: Path, posts_model: Path, tmp_path: Path, run: Run) -> None:
    head, *rows = posts.read_text("utf-8").splitlines()
    pool = posts.with_name("pool_to_label.csv")
    place = head.split(",").index("label")
    kept = [",".join("" if i == place else cell for i, cell in enumerate(row.split(","))) for row in rows]
    pool.write_text("\n".join([head, *(row.replace("sunny", "bright") for row in kept)]) + "\n", "utf-8")
    out_file = posts.with_name("to_label.csv")
    code, out, err = run(
        "suggest", posts_model, pool, "--n", 6, "-o", out_file, "--overwrite", "--lang", "zh", "--quiet"
    )
    assert code == 0, err
    assert "待标注" in out and "填写列“label”，然后运行：plait fit" in out and "…… 另有 1 项" in out
    assert english(re.sub(r"/\S+|'[^']*'", "", out)) == []
    code, out, err = run("augment", posts, "--target", "label", "--show", tmp_path / "s.html", "--lang", "zh")
    assert code == 0, err
    assert "样本页面：" in out and "--set augment.views=4" in out and english(re.sub(r"/\S+", "", out)) == []


def test_a_run_goes_on_in_another_language(tmp_path: Path) -> None:
    table = read_table({"a": [1, 2]})

    def begin(lang: str, **judge: Any) -> None:
        decides = {"judge": {"lang": lang, **judge}, "seed": 0}
        with run_folder(tmp_path / "m", decides, table, resume=True, overwrite=False, has_model=False):
            (tmp_path / "m" / "checkpoints" / "checkpoint-1").mkdir(parents=True, exist_ok=True)
            raise KeyboardInterrupt

    for lang in ("en", "zh"):
        with pytest.raises(KeyboardInterrupt):
            begin(lang)
    with pytest.raises(ValueError, match="other settings"):
        begin("zh", folds=3)


def test_problems_of_rows_keep_the_names_of_columns() -> None:
    two = "图片: no such file: 'a b.png' (looked in '/tmp'); text: the cell is empty"
    assert Speaker("zh").problem(two) == "图片：没有此文件：“a b.png”（在“/tmp”中查找）；text：单元格为空"
    for text in (two, "the row has nothing to embed"):
        assert Speaker(None).problem(text) == text
    assert Speaker("zh").problem("the row has nothing to embed") == "该行没有可嵌入的内容"
