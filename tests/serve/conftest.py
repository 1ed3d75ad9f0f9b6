"""A small calibrated model of text, picture, number and category, and a server of it in this process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.lazy import lazy
from fixtures.media import red_or_blue
from fixtures.served import Client, client_of
from fixtures.settings import QUICK

plait = lazy("plait")


def row(number: int) -> dict[str, Any]:
    red, sunny = bool(number % 2), bool(number // 2 % 2)
    return {
        "text": f"it was {'sunny' if sunny else 'rainy'} on day {number}", "image": red_or_blue(red, number),
        "size": number * 0.5 + 0.25, "grade": "abc"[number % 3], "label": "yes" if red != sunny else "no",
    }  # fmt: skip


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Rows without their answers."""
    return [{name: value for name, value in row(i).items() if name != "label"} for i in range(100, 132)]


@pytest.fixture(scope="session")
def served_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model, an ensemble with calibration rows."""
    folder = tmp_path_factory.mktemp("served") / "model"
    plait.fit([row(i) for i in range(96)], "label", epochs=2, calibration=0.25, output=folder, set=QUICK)
    return folder


@pytest.fixture(scope="session")
def fitted(served_model: Path) -> Any:
    """The same model without a server."""
    return plait.load(served_model)


@pytest.fixture(scope="session")
def _client(fitted: Any) -> Iterator[Client]:
    with client_of(fitted) as client:
        yield client


@pytest.fixture
def client(_client: Client) -> Iterator[Client]:
    """A client of the server; its options are as they were after each test."""
    options, log = _client.server.options, io.StringIO()
    _client.log(log)
    yield _client
    _client.limit(options)


@pytest.fixture
def limited(client: Client) -> Any:
    """Changes limits of the running server for one test."""
    return lambda **limits: client.limit(replace(client.server.options, **limits))
