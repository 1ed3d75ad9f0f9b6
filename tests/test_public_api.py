"""Every argument of a public function or method is described, and none has the type Any where a type is known."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import plait

ANY = {
    r"^Plait\.predict return": "a pyarrow table, or a pandas frame under as_frame=True, which is not a dependency",
    r"\.(frame|plot) return|\.plot ax": "frames of pandas and axes of matplotlib, which are not dependencies",
    r"^(augment|calibrate|drift|export|explain_modalities|Plait\.calibrate|Comparison\.method) return"
    r"|^Plait\.leaderboard return|report$": "a report: JSON, as the docstring lists it",
    r"Classifier settings|Regressor settings|Plait\.explain inputs": "values of settings: a number, text, list or None",
    r"^VisionLanguageModel\.\w+ _+$": "a verb that such a model refuses, whatever it is given",
    r"^build_index reading": "options of a reader, by name",
    r"^explain_modalities (inputs|constants|groups|target)": "arrays of any library, which the user's function takes",
    r"^register_(encoder|fusion|metric|task)|^check_fusion options": "a decorator, or what a plug-in's function takes",
}  # fmt: skip
REFERENCE = re.compile(r":(?:meth|func|class):`([\w.]+)`|``(predict|embed|evaluate)``")


def public() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Name, function and docstring of every public function, constructor and method of ours."""
    for name in plait.__all__:
        found = getattr(plait, name)
        if inspect.isclass(found):
            if name != "Plait":  # made by plait.fit and plait.load alone
                yield name, found.__init__, inspect.getdoc(found) or ""
            for method in dir(found):
                function = inspect.getattr_static(found, method)
                function = getattr(function, "__func__", function)
                is_ours = inspect.isfunction(function) and function.__module__.startswith("plait.")
                if is_ours and not method.startswith("_"):
                    yield f"{name}.{method}", function, inspect.getdoc(getattr(found, method)) or ""
        elif callable(found):
            yield name, found, inspect.getdoc(found) or ""


def arguments(function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Arguments and "return", with their annotations."""
    signature = inspect.signature(function)
    for one in signature.parameters.values():
        if one.name not in ("self", "cls", "fitted"):
            yield one.name, "" if one.annotation is one.empty else str(one.annotation)
    if signature.return_annotation is not signature.empty:
        yield "return", str(signature.return_annotation)


def test_no_argument_is_any_where_a_type_is_known() -> None:
    used, wrong = set(), []
    for name, function, _ in public():
        for argument, annotation in arguments(function):
            if annotation and not re.search(r"\bAny\b", annotation):
                continue
            reasons = [one for one in ANY if re.search(one, f"{name} {argument}")]
            used.update(reasons)
            if not reasons:
                wrong.append(f"{name}({argument}: {annotation or 'nothing'})")
    assert not wrong, "\n".join(wrong)
    assert used == set(ANY), f"no longer needed: {set(ANY) - used}"


def described(name: str, docs: dict[str, str], seen: set[str]) -> str:
    """A docstring, and those that it sends the reader to."""
    if name in seen:
        return ""
    seen.add(name)
    text = docs[name]
    owner = name.partition(".")[0]
    for path, bare in REFERENCE.findall(text):
        word = (path or bare).removeprefix("plait.")
        for wanted in (word, f"{owner}.{word}", f"Plait.{word}"):
            if wanted in docs:
                text += described(wanted, docs, seen)
                break
    return text


def test_every_argument_is_described_there_or_where_the_docstring_points() -> None:
    everything = list(public())
    docs = {name: doc for name, _, doc in everything}
    wrong = []
    for name, function, _ in everything:
        text = described(name, docs, set())
        wrong += [
            f"{name}({argument})"
            for argument, _ in arguments(function)
            if argument != "return" and argument.strip("_") and not re.search(rf"\b{re.escape(argument)}\b", text)
        ]
    assert not wrong, "\n".join(wrong)
