"""What the values of ``ensemble.json`` must be before they answer rows: a weight that is NaN would count as none."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from plait.settings.json_values import JsonObject, is_filled_list, is_numbers, is_positive, or_none

FILE = "ensemble.json"


def check_ensemble(values: Any, names: list[str], num_outputs: int) -> None:
    """Refuse what no ensemble of this model writes.

    Args:
        values: Of the file.
        names: Modalities of the model, in its order.
        num_outputs: Its outputs.

    Raises:
        ValueError: The message names the key, what stands there and what was expected.
    """
    file = JsonObject(FILE, values)
    file.need("modalities", lambda v: v == names, f"those of the model, {', '.join(names)}")
    members = file.need("members", is_filled_list, "a list of members")
    patterns = file.need("patterns", lambda v: _is_patterns(v, len(names)), "different lists of true and false")
    file.need(
        "weights",
        lambda v: isinstance(v, list) and len(v) == len(patterns) and all(_is_shares(w, len(members)) for w in v),
        f"for each pattern {len(members)} numbers from 0 on that add up to 1",
    )  # fmt: skip
    file.need(
        "temperatures", lambda v: isinstance(v, list) and len(v) == len(patterns) and all(map(is_positive, v)),
        f"{len(patterns)} numbers above 0",
    )  # fmt: skip
    file.need(
        "best", lambda v: _is_places(v, len(members)) and len(v) == len(patterns),
        f"for each pattern the number of one of {len(members)} members",
    )  # fmt: skip
    if "nothing" in values:  # models of before had none
        file.need("nothing", or_none(lambda v: is_numbers(v) and len(v) == num_outputs), f"{num_outputs} numbers")
    for number, member in enumerate(members):
        one = JsonObject(FILE, member, f"members[{number}]")
        uses = one.need("uses", lambda v: bool(v) and set(v) <= set(names), f"names among {', '.join(names)}")
        for part, made in enumerate(one.need("models", is_filled_list, "a list of models")):
            _check_model(JsonObject(FILE, made, f"members[{number}].models[{part}]"), [names.index(n) for n in uses])


def _check_model(model: JsonObject, uses: list[int]) -> None:
    expected = f"{uses}, the modalities of the member"
    if "network" in model.values:
        model.need("network", _is_inside, "a folder of the model")
        model.need("uses", lambda v: v == uses, expected)
        return
    config = model.need("config", lambda v: isinstance(v, dict), "an object with named values")
    JsonObject(FILE, config, f"{model.where}.config").need("uses", lambda v: v == uses, expected)


def _is_inside(value: Any) -> bool:
    if not isinstance(value, str) or not value or "\\" in value:
        return False
    place = PurePosixPath(value)
    return not place.is_absolute() and ".." not in place.parts


def _is_patterns(value: Any, length: int) -> bool:
    if not is_filled_list(value):
        return False
    fits = all(isinstance(p, list) and len(p) == length and all(type(v) is bool for v in p) for p in value)
    return fits and len({tuple(p) for p in value}) == len(value)


def _is_shares(value: Any, length: int) -> bool:
    return is_numbers(value) and len(value) == length and min(value) >= 0 and bool(np.isclose(sum(value), 1.0))


def _is_places(value: Any, count: int) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < count for v in value)
