"""The help in groups and ``plait doctor``: whole lines, facts, and faults that were planted, each with what to type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.json_output import only_json
from plait import __version__
from plait.api.installation import devices, packages
from plait.cli.main import app
from plait.cli.verbs import GROUPS

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


def test_help_is_in_groups_with_fit_first_and_whole_lines(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    for word in ("-h", "--help"):
        assert run(word) == (0, out, "")
    assert out.index("  fit ") < min(out.index(f"  {verb} ") for verb in ("predict", "check", "index", "doctor"))
    for title, verbs in GROUPS.items():
        assert f"\n{title}:\n" in out
        for verb in verbs:
            line = next(line for line in out.splitlines() if line.startswith(f"  {verb.example.split()[0]} "))
            assert line.endswith(f" {verb.line}"), "cut short"
    assert max(map(len, out.splitlines())) <= 100


def test_every_verb_stands_in_one_group() -> None:
    listed = [verb.example.split()[0] for verbs in GROUPS.values() for verb in verbs]
    named = [c.name or "" for c in app.registered_commands] + [g.name or "" for g in app.registered_groups]
    assert sorted(listed) == sorted(named) and len(set(listed)) == len(listed)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag: str, run: Run) -> None:
    assert run(flag) == (0, f"plait {__version__}\n", "")


@pytest.mark.parametrize("verb", [["fit"], ["index", "build"], ["weights"]], ids=" ".join)
def test_short_help_of_a_verb(verb: list[str], run: Run) -> None:
    assert run(*verb, "-h") == run(*verb, "--help")


def test_doctor_in_words_and_as_json(run: Run) -> None:
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for word in ("Python", "dependencies: ", "extras", "pretrained weights", "caches", "nothing broken was found"):
        assert word in out
    code, out, _ = run("doctor", "--json")
    found = only_json(out)
    assert code == 0 and found["plait"]["version"] == __version__ and found["machine"]["cores"] >= 1
    assert [f["code"] for f in found["findings"]] == [f"D{n:03}" for n in range(1, 11)]
    by_name = {row["name"]: row for row in found["dependencies"]}
    assert by_name["torch"]["fits"] and by_name["torch"]["installed"] == packages.installed_version("torch")


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(packages.EXTRAS) == set(project["optional-dependencies"]) - {"all", "dev"}
    assert [row["name"] for row in packages.extras()] == list(packages.EXTRAS)


def planted(folder: Path, name: str, version: str, *requires: str) -> None:
    """Metadata of a distribution, found before the one that is installed."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (place / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")


def doctor(folder: Path, *flags: str) -> tuple[int, dict[str, dict[str, str]], dict[str, object]]:
    """``plait doctor --json`` in a fresh interpreter that looks into ``folder`` first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src")])}
    command = [sys.executable, "-m", "plait", "doctor", "--json", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    return done.returncode, {f["code"]: f for f in found["findings"]}, found


def test_a_torchvision_of_another_torch_is_found(tmp_path: Path) -> None:
    planted(tmp_path, "torchvision", "0.25.0", "torch (==2.10.0)")
    code, findings, _ = doctor(tmp_path)
    detail = findings["D004"]["detail"]
    assert code == 1 and findings["D004"]["severity"] == "error"
    assert (
        "torchvision 0.25.0 requires torch==2.10.0" in detail and 'pip install -U torchvision "torch==2.10.0"' in detail
    )


def test_builds_for_two_devices_are_found(tmp_path: Path) -> None:
    planted(tmp_path, "torch", "2.15.0+cu132")
    planted(tmp_path, "torchvision", "0.29.2+cpu", "torch (>=2.14.0)")
    code, findings, _ = doctor(tmp_path)
    assert code == 1 and "torchvision 0.29.2+cpu is built for another PyTorch" in findings["D004"]["detail"]


def test_a_package_that_is_too_old_is_found(tmp_path: Path) -> None:
    planted(tmp_path, "pillow", "9.0.0")
    code, findings, found = doctor(tmp_path)
    assert code == 1 and "pillow 9.0.0 is installed; Plait requires pillow>=" in findings["D003"]["detail"]
    assert 'type pip install "pillow>=' in findings["D003"]["detail"]


def test_a_broken_torch_breaks_nothing_and_is_found(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudnn.so.9: cannot open shared object file')")
    (tmp_path / "torch" / "version.py").write_text("__version__ = '2.15.0'\ncuda: str | None = '13.2'\nhip = None\n")
    code, findings, found = doctor(tmp_path)
    assert code == 0 and findings["D005"]["severity"] == "n/a", "without --load it is not imported"
    assert found["torch"] == {"version": "2.15.0", "cuda": "13.2", "hip": None}
    code, findings, _ = doctor(tmp_path, "--load")
    assert (
        code == 1
        and "libcudnn.so.9" in findings["D005"]["detail"]
        and "pip install torch" in findings["D005"]["detail"]
    )


def test_a_gpu_beside_a_torch_for_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert devices.accelerators() == [{"name": "NVIDIA H100", "kind": "cuda", "memory": 81559 * 2**20}]
    monkeypatch.setattr(devices, "torch_build", lambda: {"version": "2.15.0+cpu", "cuda": None, "hip": None})
    code, out, _ = run("doctor")
    assert code == 0 and "NVIDIA H100, 80 GiB" in out
    assert "warning D006 accelerator: a GPU is here, but torch 2.15.0+cpu is built for the CPU alone" in out


def test_what_is_stored_and_what_is_not(cache: Path, run: Run) -> None:
    folder = cache / "weights" / "hf--my--model"
    folder.mkdir(parents=True)
    (folder / "plait-source.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0" * 2_500_000)
    code, out, _ = run("doctor")
    assert code == 0 and "hf:my/model" in out and "2.5 MB" in out and "plait weights fetch minilm" in out
    caches = only_json(run("doctor", "--json")[1])["caches"]
    assert caches[0]["path"] == str(cache / "weights") and caches[0]["bytes"] == 2_500_002 and caches[0]["writable"]


def test_damaged_weights_and_a_cache_that_is_a_file(cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache / "weights" / "efficientnet-lite0"
    folder.mkdir(parents=True)
    receipt = {"files": {"model.safetensors": "0" * 64}}
    (folder / "plait-source.json").write_text(json.dumps(receipt))
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(16)
    for content, code in ((whole, 0), (whole[:-1], 1), (b"", 1)):
        (folder / "model.safetensors").write_bytes(content)
        found = run("doctor")
        assert found[0] == code and ("plait weights fetch efficientnet-lite0" in found[1]) == (code == 1)
    (cache / "file").write_text("x")
    monkeypatch.setenv("PLAIT_CACHE", str(cache / "file"))
    assert "cannot be written to; name another folder with PLAIT_CACHE=FOLDER" in run("doctor")[1]


@pytest.mark.slow
def test_loading_names_the_versions() -> None:
    loaded = devices.load()
    assert loaded["torch"].startswith(str(packages.installed_version("torch")).split("+")[0])
