"""The package of docs/plugins.md, built and installed: other processes fit, predict, compare and load with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.plugin_package import install_package, run_beside, shown_files

BEGIN = """
import json, sys
import plait
assert not {"torch", "plait_mean_max", "plait.registry"} & set(sys.modules), "import plait is light"
from pathlib import Path

rows = [
    {"text": f"the sky is {'blue' if i % 2 else 'grey'} {i}", "size": i % 7, "label": "dry" if i % 2 else "wet"}
    for i in range(120)
]
small = ["encoders.text=bag:16", "judge.missing_rows=0"]
"""
USE = """
model = plait.fit(rows, "label", fusion="mean_max", epochs=2, set=small, output="model", progress=False)
again = plait.load("model")
assert again.predict(rows).equals(model.predict(rows))
facts = json.loads(Path("model/inputs.json").read_text())["modalities"][0]["frozen"]
assert facts["stored"]["width"] == 16 and Path("model/processors/00/encoder.safetensors").is_file()
assert type(again.model.fusion).__module__ == "plait_mean_max"
brier = model.report["evaluation"]["metrics"]["brier"]
assert 0 <= brier["low"] <= brier["value"] <= brier["high"] <= 2
print(json.dumps(plait.api.list_plugins()))
"""
FURTHER = """
tuned = plait.fit(rows, "label", fusion="mean_max", epochs=1, set=[*small, "encoders.tuning=full"], progress=False)
tuned.save("tuned")
assert plait.load("tuned").predict(rows).equals(tuned.predict(rows))

counted = [{"text": f"{'many' if i % 2 else 'few'} {i}", "birds": 6 * (i % 2) + i % 3} for i in range(120)]
counter = plait.fit(counted, "birds", task="count", epochs=4, set=small, progress=False)
assert counter.report["metric"] == {"name": "mae", "higher_is_better": False}
assert all(isinstance(n, int) for n in counter.predict(counted).column("prediction").to_pylist())

report = plait.compare(rows, "label", fusion="mean_max,concat", seeds=1, search=1, epochs=1, set=small, progress=False)
assert {"mean_max", "concat"} <= {m["name"] for m in report["methods"]}, report["methods"]
"""
IGNORED = "error::UserWarning:plait"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    assert set(shown_files()) == {"pyproject.toml", "plait_mean_max.py", "test_plait_mean_max.py"}
    return install_package(tmp_path)


@pytest.mark.timeout(200)
def test_the_package_of_the_page_is_used_by_other_processes(target: Path, tmp_path: Path) -> None:
    done = run_beside(target, ["-W", IGNORED, "-c", BEGIN + USE], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (listed,) = json.loads(done.stdout.splitlines()[-1])
    assert (listed["package"], listed["version"], listed["error"]) == ("plait-mean-max", "1.0", None)
    assert listed["brings"] == {"fusion": ["mean_max"], "encoder": ["bag"], "task": ["count"], "metric": ["brier"]}
    (tmp_path / "new.csv").write_text("text,size\nthe sky is blue,1\n,2\n", encoding="utf-8")
    predict = ["-m", "plait", "predict", "model", "new.csv", "--quiet", "-o"]
    done = run_beside(target, [*predict, "answers.csv"], tmp_path)
    assert done.returncode == 0, done.stderr
    answers = (tmp_path / "answers.csv").read_text("utf-8").splitlines()
    assert len(answers) == 3 and "probability_dry" in answers[0]
    done = run_beside(None, [*predict, "without.csv"], tmp_path)
    assert done.returncode == 2
    assert (
        "it was trained with the encoder 'bag', the fusion 'mean_max' of the package plait-mean-max 1.0, which is not "
        "installed here; install it from whoever gave you the model: what an index offers under that name (pip install "
        "plait-mean-max"
    ) in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_package_of_the_page_trains_compares_and_passes_its_own_tests(target: Path, tmp_path: Path) -> None:
    done = run_beside(target, ["-W", IGNORED, "-c", BEGIN + FURTHER], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    done = run_beside(target, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "source"], tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_the_doctor_names_a_package_that_fails(tmp_path: Path) -> None:
    info = tmp_path / "plait_broken-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plait-broken\nVersion: 2.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[plait.plugins]\nbroken = plait_broken\n", encoding="utf-8")
    (tmp_path / "plait_broken.py").write_text("import a_library_that_is_not_here\n", encoding="utf-8")
    done = run_beside(tmp_path, ["-m", "plait", "fusions", "--json"], tmp_path)
    assert done.returncode == 0 and len(json.loads(done.stdout)["fusions"]) > 25, done.stderr
    assert "the plug-in 'broken' of the package plait-broken 2.1 could not be loaded" in done.stderr
    assert "No module named 'a_library_that_is_not_here'" in done.stderr
    done = run_beside(tmp_path, ["-m", "plait", "doctor", "--json"], tmp_path)
    untried = json.loads(done.stdout)
    assert [p["package"] for p in untried["plugins"]] == ["plait-broken"]
    code = (
        "import json\nfrom plait.api.installation import plugins\nfound = plugins.loaded()\n"
        "print(json.dumps([found, plugins.finding(found).severity, plugins.finding(found).detail]))"
    )
    done = run_beside(tmp_path, ["-c", code], tmp_path)
    (found,), severity, detail = json.loads(done.stdout)
    assert severity == "warning" and "pip uninstall plait-broken" in detail
    assert found["error"] == "ModuleNotFoundError: No module named 'a_library_that_is_not_here'"
