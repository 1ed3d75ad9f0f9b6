"""Which functions are which phase, and how they are timed while a profile runs.

A point is a function or method by name. It is wrapped while the profile runs, in modules that are there already and in
those that are imported later, as soon as they are: whoever imports the function then gets the wrapped one.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from plait.api.profiling.spans import Clock

IMPORTS = "imports"
ENCODE = "encode: forward pass"
STEP, OPTIMIZER = "train: forward and backward", "train: optimizer"
FEW_COUNTED = 16  # of so many steps one has its operations counted, where counting takes about as long as the step
DECODE_PICTURES = "encode: decode pictures"
Amount = Callable[[tuple[Any, ...], dict[str, Any], Any], float]
Counted = Callable[[Any], tuple[str, int]]  # precision; of how many calls one has its operations counted, 0: none


class Point(NamedTuple):
    """A function that is timed.

    Attributes:
        place: ``module:function`` or ``module:Class.method``.
        phase: What it is part of.
        amount: What one call did, of its arguments and result; None: calls are counted.
    """

    place: str
    phase: str
    amount: Amount | None = None


def _items(arguments: tuple[Any, ...], _: dict[str, Any], __: Any) -> float:
    return float(len(arguments[1]))


def _megabytes(arguments: tuple[Any, ...], _: dict[str, Any], __: Any) -> float:
    return sum(float(getattr(array, "nbytes", 0)) for part in arguments[2:] for array in _arrays(part)) / 1e6


def _arrays(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part]


def _megapixels(_: tuple[Any, ...], __: dict[str, Any], picture: Any) -> float:
    return float(picture.size[0] * picture.size[1] / 1e6)


UNITS = {  # of phases that count what was done
    "encode: tokenise": "texts", "encode: resize and normalise": "pictures", "encode: log-mel": "sounds",
    "numbers and categories": "columns", ENCODE: "items", DECODE_PICTURES: "megapixels",
    "encode: decode sounds": "sounds", STEP: "steps", OPTIMIZER: "steps",
    "train: collate": "batches", "feature store: write": "MB", "encode: prepare for a joint model": "items",
}  # fmt: skip
_PROCESSORS = "plait.processors"
POINTS = (
    Point("plait.api.opening:open_run", "read and check the table"),
    Point("plait.api.first_look:open_checked", "read and check the table"),
    Point("plait.data.table:read_table", "read and check the table"),
    Point("plait.data.items:read_rows", "read the cells"),
    Point("plait.inputs.inputs:load_inputs", "load encoders"),
    Point("plait.encoders.load:load_encoder", "load encoders"),
    Point("plait.encoders.load:build_encoder", "load encoders"),
    Point("plait.data.picture:load_image", DECODE_PICTURES, _megapixels),
    Point("plait.data.sound:decode_sound", "encode: decode sounds", lambda *_: 1.0),
    Point(f"{_PROCESSORS}.text:TextProcessor.process", "encode: tokenise", _items),
    Point(f"{_PROCESSORS}.hashed:HashedTextProcessor.process", "encode: tokenise", _items),
    Point(f"{_PROCESSORS}.words:WordProcessor.process", "encode: tokenise", _items),
    Point(f"{_PROCESSORS}.ngrams:NgramProcessor.process", "encode: tokenise", _items),
    Point(f"{_PROCESSORS}.image:ImageProcessor.process", "encode: resize and normalise", _items),
    Point(f"{_PROCESSORS}.library_image:LibraryImageProcessor.process", "encode: resize and normalise", _items),
    Point(f"{_PROCESSORS}.pillow_image:PillowImageProcessor.process", "encode: resize and normalise", _items),
    Point(f"{_PROCESSORS}.joint:JointProcessor.process", "encode: prepare for a joint model", _items),
    Point(f"{_PROCESSORS}.audio:AudioProcessor.process", "encode: log-mel", _items),
    Point(f"{_PROCESSORS}.waveform:WaveformProcessor.process", "encode: log-mel", _items),
    Point(f"{_PROCESSORS}.tabular:TabularProcessor.process", "numbers and categories", _items),
    Point("plait.inputs.feature_store.encode:_Run._encode", ENCODE, lambda given, _, __: float(given[2])),
    Point("plait.inputs.feature_store.space:Space.put", "feature store: write", _megabytes),
    Point("plait.inputs.feature_store.space:Space.missing", "feature store: read"),
    Point("plait.inputs.feature_store.space:Space.gather", "feature store: read"),
    Point("plait.inputs.feature_store.feature_set:FeatureSet.take", "feature store: read"),
    Point("plait.inputs.dataset:RowBatches.__getitems__", "train: collate", lambda *_: 1.0),
    Point("plait.training.trainer:train_model", "train: around the steps"),
    Point("plait.training.trainer:_WatchedTrainer.training_step", STEP, lambda *_: 1.0),
    Point("accelerate.optimizer:AcceleratedOptimizer.step", OPTIMIZER, lambda *_: 1.0),
    Point("plait.training.trainer:_Judge._judged", "train: validation rows"),
    Point("plait.training.trainer:_Judge.on_save", "train: checkpoints"),
    Point("plait.training.pretraining:pretrain", "train: before labels"),
    Point("plait.ensemble.fit:fit_ensemble", "other members"),
    Point("plait.ensemble.transform:choose_transform", "other members"),
    Point("plait.inference.generation:write_rows", "write texts"),
    Point("plait.inference.vision_language.network:VisionLanguageNetwork.write", "write texts"),
    Point("plait.inference.vision_language.network:VisionLanguageNetwork.score", "score answers"),
    Point("plait.api.vision_language.judging:judged_report", "evaluate"),
    Point("plait.api.vision_language.tuning_rows:read_tuning", "read and check the table"),
    Point("plait.inference.forward:predict_logits", "answers of the network"),
    Point("plait.api.evaluation:evaluation_report", "evaluate"),
    Point("plait.api.calibrating:learn_calibration", "calibrate"),
    Point("plait.report:write_report", "write page and numbers"),
    Point("plait.api.model_folder:replace_model", "write the model"),
    Point("plait.api.model_folder:load_model_folder", "open the model"),
    Point("plait.index.exact:top_k", "search"),
)


@contextlib.contextmanager
def timed(clock: Clock, flops: bool) -> Iterator[None]:
    """Every point is timed by the clock, and so are imports, until the end.

    Args:
        clock: Takes the seconds.
        flops: Count the operations of encoders and of training too, which costs some microseconds an operation.
    """
    waiting: dict[str, list[Point]] = {}
    for point in POINTS:
        waiting.setdefault(point.place.partition(":")[0], []).append(point)
    undo: list[Callable[[], None]] = []
    original = builtins.__import__

    def wrap_what_is_there() -> None:
        for name in [n for n in waiting if _is_whole(sys.modules.get(n))]:
            for point in waiting.pop(name):
                undo.append(_wrapped(sys.modules[name], point, clock, flops))

    @functools.wraps(original)
    def importing(name: str, *arguments: Any, **kwargs: Any) -> Any:
        if not clock.is_running or (not waiting and name in sys.modules):
            return original(name, *arguments, **kwargs)
        known = len(sys.modules)
        with clock.span(IMPORTS):
            found = original(name, *arguments, **kwargs)
        if len(sys.modules) != known:
            wrap_what_is_there()
        return found

    wrap_what_is_there()
    builtins.__import__ = importing
    try:
        yield
    finally:
        clock.is_running = False
        if builtins.__import__ is importing:  # who replaced it meanwhile keeps theirs, and ours passes on
            builtins.__import__ = original
        for one in reversed(undo):
            one()


def _is_whole(module: ModuleType | None) -> bool:
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _wrapped(module: ModuleType, point: Point, clock: Clock, flops: bool) -> Callable[[], None]:
    """Put the timed function in the place of a point, wherever it is bound by its name; what undoes it."""
    holder: Any = module
    *outer, name = point.place.partition(":")[2].split(".")
    for part in outer:
        holder = getattr(holder, part)
    original = getattr(holder, name)
    made = _timed_function(original, point, clock, COUNTED.get(point.phase) if flops else None)

    def replace(before: Any, after: Any) -> None:
        if getattr(holder, name) is before:
            setattr(holder, name, after)
        if holder is module:  # others, some of them imported since, hold the function itself
            for other in _own_modules():
                if vars(other).get(name) is before:
                    setattr(other, name, after)

    replace(original, made)
    return functools.partial(replace, made, original)


def _own_modules() -> list[ModuleType]:
    return [m for n, m in list(sys.modules.items()) if n.split(".")[0] == "plait" and isinstance(m, ModuleType)]


def _timed_function(original: Any, point: Point, clock: Clock, counted: Counted | None) -> Any:
    @functools.wraps(original)
    def timed_one(*arguments: Any, **kwargs: Any) -> Any:
        if not clock.is_running:
            return original(*arguments, **kwargs)
        with clock.span(point.phase):
            if counted is not None:
                found = _counted_call(original, arguments, kwargs, point.phase, clock, counted)
            else:
                found = original(*arguments, **kwargs)
        if point.amount is not None:
            clock.count(point.phase, point.amount(arguments, kwargs, found))
        return found

    return timed_one


def _counted_call(original: Any, given: tuple[Any, ...], named: Any, phase: str, clock: Clock, counted: Counted) -> Any:
    """A call whose operations are counted, where it is its turn; it ends when an accelerator has done all of it."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    precision, every = counted(given[0])
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    if not every or clock.calls(phase) % every:
        found = original(*given, **named)
        wait()
        return found
    began = clock.now()
    with FlopCounterMode(display=False) as counter:
        found = original(*given, **named)
    wait()
    clock.count_flops(phase, float(counter.get_total_flops()), clock.now() - began, precision)
    return found


def _of_encoding(run: Any) -> tuple[str, int]:
    """What another engine multiplies is not seen, and a network that it traces must not be: the trace would differ."""
    by_torch = getattr(run, "engine", None) is None
    return ("bfloat16" if getattr(run, "use_bf16", False) else "float32"), int(by_torch)


def _of_step(trainer: Any) -> tuple[str, int]:
    """Precision of a step, and of how many one is counted: all where a processor trains large networks, whose batches
    differ; few of heads, and on an accelerator, which would wait for the counting.
    """
    import torch

    from plait.encoders.gradient_checkpointing import learning_networks

    kind = getattr(trainer.model, "compute_dtype", torch.float32)
    is_long = not torch.cuda.is_available() and bool(learning_networks(trainer.model))
    return str(kind).removeprefix("torch."), 1 if is_long else FEW_COUNTED


COUNTED: dict[str, Counted] = {ENCODE: _of_encoding, STEP: _of_step}
