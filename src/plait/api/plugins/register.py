"""``plait.register_fusion``, ``register_encoder``, ``register_task`` and ``register_metric``.

They check what can be checked without training and store it under its name, together with who brought it. A name is
taken once; in a notebook ``replace=True`` exchanges what this process registered before.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from plait.registry import Registry, origin_of, unknown_name

if TYPE_CHECKING:
    from plait.encoders import Encoder
    from plait.fusion import Fusion
    from plait.processors import Processor
    from plait.tasks import Task

T = TypeVar("T")
NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
LONGEST_NAME = 40
RESERVED = ("all", "none", "auto", "default", "pair_head", "notes", "loss", "score")
COLUMN_KINDS = ("text", "image", "audio")


def register_fusion(name: str, fusion: type[Fusion] | None = None, *, replace: bool = False) -> Any:
    """Register a way of joining modalities; ``fusion="name"`` means it from then on, on every verb.

    Args:
        name: What users type: small letters, digits, ``-`` and ``_``.
        fusion: A class made from :class:`plait.fusion.Fusion` with the same ``info.name``, whose ``forward`` takes
            encoded modalities (vector [B, D_m], tokens [B, T_m, D_m] and mask [B, T_m]) and ``present_BM`` [B, M], and
            returns a :class:`plait.fusion.FusionOutput` with ``fused_BD`` [B, width]. None: this is a decorator.
        replace: Exchange what this process registered under that name before.

    Returns:
        The class, or the decorator.

    Raises:
        ValueError: The name is taken or not a name, or the class breaks the contract in what it declares;
            :func:`plait.check_fusion` checks what it computes.

    Example:
        >>> import plait
        >>> from plait.fusion import FUSIONS
        >>> plait.register_fusion("gated", FUSIONS.get("gated"))
        Traceback (most recent call last):
        ValueError: the fusion 'gated' is registered already by Plait itself; choose another name
    """
    from plait.fusion import FUSIONS
    from plait.fusion.base import Fusion
    from plait.fusion.contract import declaration_faults

    def store(kind: type[Fusion]) -> type[Fusion]:
        if not (inspect.isclass(kind) and issubclass(kind, Fusion)):
            raise ValueError(f"the fusion {name!r} must be a class made from plait.fusion.Fusion; got {kind!r}")
        if faults := list(declaration_faults(kind, name)):
            raise ValueError(f"the fusion {name!r} breaks the contract of fusions: {'; '.join(faults)}")
        return _add(FUSIONS, name, kind, kind.__module__, replace)

    _check_name("fusion", name)
    return store if fusion is None else store(fusion)


def register_encoder(
    name: str,
    load: Callable[[str, str, Any], tuple[Encoder, Processor]],
    build: Callable[[dict[str, Any]], Encoder],
    *,
    kinds: Sequence[str] | str,
    stored: bool = True,
    replace: bool = False,
) -> None:
    """Register an encoder; ``encoders.text=name`` (or image, audio, or one column) means it from then on.

    Args:
        name: What users type, alone or with a word of the encoder's own behind a colon ("chars:large").
        load: (kind of the column, what stands behind the colon or "", ``Reading``) to the encoder with its weights and
            the processor of ``plait.processors`` that feeds it. ``Reading`` holds image_size, max_length,
            audio_seconds.
        build: The encoder's ``description`` (JSON, ``"type"`` is the name) to the bare encoder, without reading files.
        kinds: "text", "image" or "audio", or several: the columns it reads.
        stored: Whether model folders hold its weights where it is frozen. False promises that ``load`` gives the same
            weights on every machine; a model then names it, and refuses others by their fingerprint.
        replace: Exchange what this process registered under that name before.

    Raises:
        ValueError: The name is taken or not a name, or a kind of column is unknown.
    """
    from plait.encoders import ENCODERS
    from plait.encoders.added import AddedEncoder
    from plait.encoders.load import LOADERS
    from plait.weights import RECORDS

    _check_name("encoder", name)
    if name in RECORDS:
        raise ValueError(f"the encoder {name!r} is registered already by Plait itself; choose another name")
    for what, given in (("load", load), ("build", build)):
        if not callable(given):
            raise ValueError(f"{what} of the encoder {name!r} must be callable; got {given!r}")
    named = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    for kind in named:
        if kind not in COLUMN_KINDS:
            raise ValueError(unknown_name("kind of column", kind, list(COLUMN_KINDS), where="kinds="))
    if not named:
        raise ValueError(f"the encoder {name!r} reads no kind of column; name some of {', '.join(COLUMN_KINDS)}")
    _check_free(ENCODERS, name, build, replace)
    module = getattr(load, "__module__", "")
    record = AddedEncoder(name, load, named, stored)
    if _add(LOADERS, name, record, module, replace) is record:
        _add(ENCODERS, name, build, module, replace)


def register_task(
    task: Task, *, choose: Callable[[dict[str, dict[str, Any]], Any], None] | None = None, replace: bool = False
) -> Task:
    """Register a task; ``task="name"`` means it from then on.

    Args:
        task: How targets are read and encoded, the loss, how outputs are decoded, the metrics. Its ``output_kind`` is
            one of those that there are ("classes", "labels", "number"), for evaluation, ensembles and explanations
            hang on it.
        choose: (chosen, facts): changes a recipe's choices for this task in place, such as
            ``chosen["train"]["learning_rate"] = 0.01``.
        replace: Exchange what this process registered under that name before.

    Returns:
        The task.

    Raises:
        ValueError: The name is taken or not a name, or there is no such kind of output.
    """
    from plait.tasks import TASKS
    from plait.tasks.added_metrics import KINDS
    from plait.tasks.base import Task
    from plait.training.recipes.base import TASK_CHOICES, TaskChoices

    if not isinstance(task, Task):
        raise ValueError(f"a task is a plait.tasks.Task(...); got {task!r:.200}")
    _check_name("task", task.record)
    if task.output_kind not in KINDS:
        raise ValueError(
            f"the task {task.record!r} has output_kind={task.output_kind!r}; a task of your own gives one of "
            f"{', '.join(KINDS)}"
        )
    module = task.loss.__module__
    _add(TASKS, task.record, task, module, replace)
    if choose is not None:
        _add(TASK_CHOICES, task.record, TaskChoices(choose), module, replace)
    return task


def register_metric(
    name: str,
    metric: Callable[[Any, Any], float | None] | None = None,
    *,
    tasks: Sequence[str] | str,
    higher_is_better: bool = True,
    of: str = "outputs",
    replace: bool = False,
) -> Any:
    """Register a metric; it is measured with an interval in every evaluation of these tasks from then on.

    It stands in the table of metrics of a report, ``task.select_by=name`` chooses epochs by it, ``explain`` shares it
    out (where higher is better). An interval calls it about 1,000 times. Where it raises or gives no finite number it
    is left empty and a note says why.

    Args:
        name: As it stands in reports and settings.
        metric: (target, what ``of`` says) to a number, or None where it is undefined, whatever the order of the rows.
            Classes come as numbers [N] (one that training did not have is one more), label sets as 0 and 1 [N, C],
            numbers as they are [N]. None: this is a decorator.
        tasks: Names of tasks, or one, whose outputs are classes, label sets or numbers.
        higher_is_better: Its direction.
        of: "outputs": probabilities [N, C], or predicted numbers [N]; "predictions": decided class numbers [N], labels
            [N, C], or the numbers, as functions of scikit-learn take them.
        replace: Exchange what this process registered under that name before.

    Returns:
        The function, or the decorator.

    Raises:
        ValueError: The name is taken or not a name, an unknown task, or one whose metrics are of texts or searches.
    """
    from plait.settings import SELECTORS
    from plait.settings.added_metrics import ADDED_METRICS, LOWER_IS_BETTER, OF, AddedMetric
    from plait.settings.names import METRIC_NAMES
    from plait.tasks import TASKS
    from plait.tasks.added_metrics import KINDS

    _check_name("metric", name)
    if name in (*SELECTORS, *METRIC_NAMES, *LOWER_IS_BETTER):
        raise ValueError(f"the metric {name!r} is registered already by Plait itself; choose another name")
    if of not in OF:
        raise ValueError(unknown_name("kind of values", of, list(OF), where="of="))
    named = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    fitting = [t for t in TASKS if TASKS.get(t).output_kind in KINDS]
    if not named:
        raise ValueError(f"tasks= names no task, so nothing would be measured; name some of {', '.join(fitting)}")
    for task in named:
        if task not in TASKS:
            raise ValueError(unknown_name("task", task, fitting, where="tasks="))
        if task not in fitting:
            raise ValueError(
                f"the metrics of {task} are of texts or searches, to which none can be added; name some of "
                f"{', '.join(fitting)}"
            )
    own_names = tuple(dict.fromkeys(TASKS.get(task).name for task in named))

    def store(function: Callable[[Any, Any], float | None]) -> Callable[[Any, Any], float | None]:
        if not callable(function):
            raise ValueError(f"the metric {name!r} must be a function of targets and answers; got {function!r}")
        record = AddedMetric(function, own_names, higher_is_better, of)
        _add(ADDED_METRICS, name, record, getattr(function, "__module__", ""), replace)
        return function

    return store if metric is None else store(metric)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not NAME.fullmatch(name) or name in RESERVED:
        kept = f" and is not {', '.join(RESERVED)}" if name in RESERVED else ""
        raise ValueError(
            f"{name!r} cannot be the name of a {what}: it is made of small letters, digits, - and _, begins with a "
            f"letter, has at most {LONGEST_NAME} characters{kept}; type one such as 'my_{what}'"
        )


def _check_free(registry: Registry[T], name: str, record: T, replace: bool) -> None:
    """Refuse a name that is taken, except by the same thing, or by this process where it may be exchanged."""
    if name not in registry.names() or registry.get(name) == record:
        return
    origin = registry.origin(name)
    if origin is None or not replace or origin.package:
        whose = "Plait itself" if origin is None else str(origin)
        again = "; type replace=True to exchange it" if origin is not None and not origin.package else ""
        raise ValueError(
            f"the {registry.what} {name!r} is registered already by {whose}{again or '; choose another name'}"
        )


def _add(registry: Registry[T], name: str, record: T, module: str, replace: bool) -> T:
    _check_free(registry, name, record, replace)
    if name in registry.names():
        if registry.get(name) == record:
            return registry.get(name)  # the same module, run by hand and as a plug-in
        registry.discard(name)
    return registry.add(name, record, origin_of(module))
