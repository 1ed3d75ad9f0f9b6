"""Words of AutoGluon and scikit-learn get an error that says what to type (``plait.settings.other_words``)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Self, TypeVar

from plait.settings.other_words import IN_A_GRID, NAMES, OF_ESTIMATOR, OF_VERB, preset_of, refusal

Given = ParamSpec("Given")
Made = TypeVar("Made")


def says_our_words(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function, a method of a model or the ``__init__`` of an estimator say what to type for words of others.

    The function raises ``TypeError`` that names all words that it does not have, at once, for a table too many, and for
    a target that is a column itself. Its signature stays what it was.
    """
    known = inspect.signature(function).parameters
    owner, _, verb = function.__qualname__.rpartition(".")
    estimator, method = verb == "__init__", bool(owner) and verb != "__init__"
    name = f"plait.{owner}" if estimator else f"model.{verb}" if method else f"plait.{verb}"
    positional = [one for one in known.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    own: Mapping[str, tuple[str, str]] = OF_ESTIMATOR if estimator else OF_VERB.get(verb, {})

    @functools.wraps(function)
    def checked(*arguments: Given.args, **named: Given.kwargs) -> Made:
        wrong = {word: value for word, value in named.items() if word not in known}
        if wrong:
            right = {word: value for word, value in named.items() if word in known and word != "progress"}
            first = "TABLE" if "table" in known and "table" not in right else ""
            right |= dict(zip([p.name for p in positional[1:]], arguments[1:], strict=False)) if not method else {}
            offered = [word for word in known if word not in ("self", "table")]
            settings = "settings" if estimator else "set"
            raise TypeError(refusal(name, wrong, right, offered, own, settings=settings, table=first))
        if verb in NAMES and len(arguments) > len(positional):
            raise TypeError(f"{name}() takes no such argument. Type {NAMES[verb][0]}")
        needed = [one.name for one in positional if one.default is one.empty][len(arguments) :]
        if lacking := [word for word in needed if word not in named and word != "self"]:
            raise TypeError(f"{name}() needs {' and '.join(lacking)}. Type {name}({', '.join(lacking).upper()})")
        if not method and not estimator:
            _refuse_column(name, named.get("target", arguments[1] if len(arguments) > 1 else None))
        preset = named.get("preset")
        if not method and isinstance(preset, str) and preset != "best" and (ours := preset_of(preset)):
            raise ValueError(f"preset={preset!r} is a word of AutoGluon. Type {ours}")
        return function(*arguments, **named)

    return checked


def _refuse_column(name: str, target: object) -> None:
    if target is not None and not isinstance(target, str):
        raise TypeError(
            f"target is {_kind(target)}; expected the name of a column of the table. Put it into the table: "
            f"{name}(X.assign(label=y), target='label'), or type plait.PlaitClassifier().fit(X, y)"
        )


class SetsOurWords:
    """An estimator whose ``set_params``, which a search calls, says what to type for words of others."""

    def set_params(self, **params: object) -> Self:
        """Set parameters of the estimator.

        Args:
            params: Values by the names of the constructor's arguments.

        Raises:
            ValueError: It has no such parameter; the message names all that it has not.
        """
        known = self.get_params(deep=False)  # type: ignore[attr-defined]
        if wrong := {word: value for word, value in params.items() if word not in known}:
            name = f"plait.{type(self).__name__}"
            said = refusal(name, wrong, {}, list(known), OF_ESTIMATOR, settings="settings")
            raise ValueError(f"Invalid parameter: {said}\nIn a grid: {IN_A_GRID}")
        made: Self = super().set_params(**params)  # type: ignore[misc]
        return made


class AnswersOtherWords:
    """A model whose missing attributes say what to type, where they are words of another library."""

    def __getattr__(self, name: str) -> Any:
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in NAMES:
            message += f". Type {NAMES[name][0]}"
        raise AttributeError(message, name=name, obj=self)


def _kind(value: object) -> str:
    shape = getattr(value, "shape", None)
    kind = f"a {type(value).__name__}"
    return f"{kind} of shape {tuple(shape)}" if shape is not None else kind
