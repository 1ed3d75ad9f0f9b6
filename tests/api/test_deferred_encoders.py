"""An encoder of an opened model is read when it must encode: nothing is imported for rows that are stored."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.tiny_bert import tiny_bert
from plait.files import cache_root

deferred = lazy("plait.encoders.deferred")
safe = lazy("safetensors.torch")

ROWS = [{"text": f"w{i % 5} w{i % 3}", "label": "ab"[i % 2]} for i in range(24)]
ANSWERED = """
import sys
from plait.cli import main
sys.argv = ["plait", "predict", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
theirs = ("transformers", "sklearn", "scipy", "pandas", "rich", "jinja2", "torch._dynamo", "timm", "torchvision")
ours = ("training.trainer", "api.run", "evaluation.labels", "explain.modality", "report.page", "objectives.alignment",
        "fusion.tensor", "encoders.sources", "api.batch.on_ray", "metrics.captioning")
print([name for name in (*theirs, *(f"plait.{one}" for one in ours)) if name in sys.modules])
print(sum(name.partition(".")[0] == "plait" for name in sys.modules))
"""
MOST_MODULES = 400  # of Plait that an answer imports; there were 636


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model on the vectors of a tiny BERT, and the folder of that."""
    place = tmp_path_factory.mktemp("deferred")
    bert = tiny_bert(place / "bert")
    plait.fit(
        ROWS, "label", text="text", epochs=1, preset="single", output=place / "model",
        set=[f"encoders.text={bert}", "encoders.max_length=8", "fusion.width=8", "train.threads=1",
             "train.baselines=false", "judge.missing_rows=0"],
    )  # fmt: skip
    return place / "model", Path(bert.removeprefix("hf:"))


def opened(model: Path) -> Any:
    """The frozen encoder of the model, opened again."""
    return plait.load(model).inputs.frozen["text"]


def test_stored_rows_are_answered_without_the_encoder(folder: tuple[Path, Path], tmp_path: Path) -> None:
    model, _ = folder
    first = plait.load(model)
    assert not isinstance(first.inputs.frozen["text"], deferred.DeferredEncoder)
    again = plait.load(model)
    assert isinstance(again.inputs.frozen["text"], deferred.DeferredEncoder)
    assert np.array_equal(first.predict_proba(ROWS), again.predict_proba(ROWS))
    assert isinstance(again.inputs.frozen["text"], deferred.DeferredEncoder) and again.fingerprint == first.fingerprint
    new = [{"text": "w1 w4 w4 w2"}]
    assert np.array_equal(first.predict_proba(new), again.predict_proba(new))
    table, answers = tmp_path / "new.csv", tmp_path / "answers.csv"
    table.write_text("text\nw0 w0\nw1 w1\nw2 w2\n", encoding="utf-8")
    environment = {**os.environ, "PLAIT_CACHE": str(cache_root())}
    words = [str(model), str(table), "--quiet", "-o", str(answers)]
    done = subprocess.run(
        [sys.executable, "-c", ANSWERED, *words], capture_output=True, text=True, env=environment, timeout=250
    )
    heavy, count = (done.stdout.splitlines() or ["", "0"])[-2:]
    assert heavy == "[]" and 0 < int(count) <= MOST_MODULES, done.stdout + done.stderr
    by_hand = again.predict([{"text": f"w{i} w{i}"} for i in range(3)]).to_pylist()
    with answers.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["prediction"], float(row["probability"])) for row in read] == [
        (row["prediction"], row["probability"]) for row in by_hand
    ]


def test_read_while_nothing_is_differentiated_its_weights_are_ordinary_ones(folder: tuple[Path, Path]) -> None:
    opened(folder[0])  # noted by now
    waiting = opened(folder[0])

    def become(_: int) -> Any:
        with torch.inference_mode():
            return waiting.become()

    with ThreadPoolExecutor(4) as threads:
        assert all(one is waiting for one in threads.map(become, range(4)))
    assert not any(weight.is_inference() for weight in waiting.parameters())
    assert not hasattr(waiting, "moves") and waiting.fingerprint == opened(folder[0]).fingerprint


def test_asked_for_its_weights_it_becomes_the_encoder(folder: tuple[Path, Path]) -> None:
    model, _ = folder
    whole = opened(model)
    if isinstance(whole, deferred.DeferredEncoder):
        whole.become()
    waiting = opened(model)
    assert isinstance(waiting, deferred.DeferredEncoder) and waiting.eval() is waiting and not waiting.training
    for name in deferred.FACTS:
        assert getattr(waiting, name) == getattr(whole, name), name
    assert isinstance(waiting, deferred.DeferredEncoder), "nothing above needs the weights"
    assert [n for n, _ in waiting.named_parameters()] == [n for n, _ in whole.named_parameters()]
    assert type(waiting) is type(whole) and waiting.fingerprint == whole.fingerprint


def test_other_weights_are_noticed_before_and_after_opening(folder: tuple[Path, Path]) -> None:
    model, bert = folder
    opened(model)
    waiting, file = opened(model), bert / "model.safetensors"
    assert isinstance(waiting, deferred.DeferredEncoder)
    right = file.read_bytes()
    try:
        tensors = safe.load_file(file)
        name = sorted(tensors)[0]
        safe.save_file({**tensors, name: tensors[name] + 1}, file, metadata={"format": "pt"})
        with pytest.raises(ValueError, match="other weights than the one this model was trained with"):
            opened(model)
        with pytest.raises(ValueError, match="changed after the model was opened"):
            waiting.state_dict()
        file.unlink()
        with pytest.raises(ValueError):  # noqa: PT011  said by whoever looks for weights, in one of several ways
            opened(model)
    finally:
        file.write_bytes(right)
    assert isinstance(opened(model), deferred.DeferredEncoder)


def test_hooks_that_were_registered_while_it_waited_act_once_it_is_read(folder: tuple[Path, Path]) -> None:
    opened(folder[0])
    waiting, seen = opened(folder[0]), []
    assert isinstance(waiting, deferred.DeferredEncoder)
    kept, gone = (waiting.register_forward_hook(lambda *_, name=name: seen.append(name)) for name in ("kept", "gone"))
    waiting.register_forward_pre_hook(lambda _, args, kwargs: seen.append(sorted(kwargs)), with_kwargs=True)
    gone.remove()
    inputs = {name: torch.ones((1, 3), dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        waiting(**inputs)
        assert not isinstance(waiting, deferred.DeferredEncoder) and seen == [sorted(inputs), "kept"]
        kept.remove()
        waiting(**inputs)
    assert seen == [sorted(inputs), "kept", sorted(inputs)]


def test_a_record_that_was_changed_is_not_believed(folder: tuple[Path, Path]) -> None:
    model, _ = folder
    opened(model)
    assert isinstance(opened(model), deferred.DeferredEncoder)
    records = list((cache_root() / "encoders").glob("*.json"))
    assert records
    for record in records:
        record.write_text(record.read_text("utf-8").replace('"vector_dim": ', '"vector_dim": 9'), encoding="utf-8")
    assert not isinstance(opened(model), deferred.DeferredEncoder)
    assert isinstance(opened(model), deferred.DeferredEncoder), "it was read whole and noted again"
