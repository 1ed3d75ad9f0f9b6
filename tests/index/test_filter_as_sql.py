"""The filter language as SQL: LanceDB finds the rows that Arrow finds, and what Arrow refuses is refused alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pytest

from plait.index.filter import matches
from plait.index.filter_as_sql import to_sql

pytestmark = pytest.mark.skipif(find_spec("lancedb") is None, reason="extra lance")

DAYS = [date(2024, 1, 4), date(2024, 1, 5), None, date(2024, 1, 6)]
TIMES = [datetime(2024, 1, 4, 23, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC), None, datetime(2024, 1, 6, tzinfo=UTC)]
ITEMS = pa.table(
    {
        "_id": ["a", "b", "c", "d"],
        "label": ["dog", "Cat", None, "it's 50% o_f\\"],
        "year": pa.array([2019, 2020, 2021, None]),
        "price": pa.array([1.5, None, 2.5, 0.0]),
        "sold": pa.array([True, False, None, True]),
        "captions": pa.array([["A dog", "snow"], [], None, ["Two dogs on Snow", None]], pa.list_(pa.string())),
        "sizes": pa.array([[1, 2], [3], None, []], pa.list_(pa.int64())),
        "色": ["红", "绿", "红", None],
        "A b": [1, 2, 3, 4],
        "small": pa.array([-5, 100, None, 0], pa.int8()),
        "kind": pa.array(["x", "y", "x", None]).dictionary_encode(),
        "score": pa.array([0.1, 0.9, None, 0.5], pa.float32()),
        "hash": pa.array([2**63, 2**64 - 1, 7, None], pa.uint64()),
        "tweet": pa.array([1500000000000000001, 1500000000000000000, None, -(2**63)], pa.int64()),
        "day": pa.array(DAYS, pa.date32()),
        "at": pa.array(TIMES, pa.timestamp("us", "Europe/Paris")),
    }
)
FILTERS = [
    "label = 'dog'", "label == 'it''s 50% o_f\\'", "label != 'dog'", "label <> 'dog'", "not label = 'dog'",
    "year >= 2020", "year < 2020.5 and price = 1.5", "label = 'Cat' or label = 'dog' and year = 2021",
    "(label = 'Cat' or label = 'dog') and year = 2019", "label in ('dog', 'Cat')", "label not in ('dog')",
    "year is null", "year is not null and not (year = 2019)", "sold = true", "sold <> true", "captions = 'snow'",
    "captions contains 'SNOW'", "not captions contains 'snow'", "captions in ('A dog', 'x')", "captions is null",
    "captions not in ('snow')", "sizes = 3", "sizes in (1, 3)", "label contains 'cA'",
    "label not contains 'o'", "label contains '50% O_F\\'", "label contains '%'", "label contains '_'",
    "label contains '\\'", "label starts with 'c'", "label starts with 'C'", "label starts with 'it''s 50%'",
    "label like '_o%'", "label not like '_o%'", "色 = '红'", "色 contains '绿'", '"A b" > 2', "id = 'c'",
    "id in ('a', 'd')",
    "price > -1e-3", "year between 2019 and 2020", "year not between 2019 and 2020", "not not label = 'dog'",
    "small < 1000", "small >= -1.5", "small in (100, 1000)", "small in (0, 2.5)", "year > 1e3",
    "kind = 'x'", "day >= '2024-01-05'", "day in ('2024-01-04')", "at >= '2024-01-05'",
    "at < '2024-01-05T00:00:00Z'", "day is null or at is null",
    "score >= 0.9", "score = 0.1", "score in (0.1, 1)", "score between 0.1 and 0.5", "not score != 0.9",
    "score > 1e300",
    "hash > 5", "hash = 18446744073709551615", "hash < 9223372036854775808", "hash != -1", "hash in (7, 1e30)",
    "tweet > 1.5e18", "tweet >= 1500000000000000000.0", "tweet < 99999999999999999999", "not tweet = 2.5",
    "tweet not in (0.5)", "sizes in (1, 99999999999999999999)", "price < 99999999999999999999",
    " or ".join(f"id = '{letter}'" for letter in "abx" * 160), " and ".join(["year > 5"] * 60) + " and year = 2020",
]  # fmt: skip
EXACT = {
    "score >= 0.9": "b", "score = 0.1": "a", "hash > 5": "abc", "tweet > 1.5e18": "a",
    "tweet < 99999999999999999999": "abd", "not tweet = 2.5": "abd", "hash in (7, 1e30)": "c",
}  # fmt: skip
REFUSED = [
    "", "lower(label) = 'dog'", "length(label) > 2", "lable = 'dog'", "label = dog", "sold", "label = 3", "label",
    "year = '2019'", "label = 'dog'; drop", "label = 'dog' -- x", "3 = year", "label || 'x' = 'dogx'", "1 = 1",
    "day >= 'yesterday'", "cast(year as string) = '2019'", "captions > 'a'", "label = (select 'dog')", "label = year",
    "sizes contains 2", "sizes contains 'x'", "price < 1e400", " or ".join(["year = 1"] * 501),
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import lancedb

    yield lancedb.connect(tmp_path_factory.mktemp("db")).create_table("items", ITEMS)


@pytest.mark.parametrize("expression", EXACT)
def test_numbers_are_compared_as_the_column_keeps_them(expression: str) -> None:
    assert "".join(ITEMS.column("_id").filter(pa.array(matches(ITEMS, expression))).to_pylist()) == EXACT[expression]


def test_a_filter_is_text() -> None:
    with pytest.raises(TypeError, match="a filter is text, not 5"):
        matches(ITEMS, 5)  # type: ignore[arg-type]


def test_the_same_rows(table: Any) -> None:
    for expression in FILTERS:
        wanted = ITEMS.column("_id").filter(pa.array(matches(ITEMS, expression))).to_pylist()
        found = table.search().where(to_sql(expression, table.schema)).select(["_id"]).to_arrow()
        assert sorted(found.column("_id").to_pylist()) == wanted, (expression, to_sql(expression, table.schema))


@pytest.mark.parametrize("expression", REFUSED)
def test_the_same_refusals(expression: str) -> None:
    said = []
    for ask in (lambda: matches(ITEMS, expression), lambda: to_sql(expression, ITEMS.schema)):
        with pytest.raises(ValueError) as caught:
            ask()
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_nothing_leaves_its_quotes(table: Any) -> None:
    for text in ("' or 1 = 1 or '' = '", "\\' or 1 = 1 --", "%'", "`", "\n;"):
        for comparison in ("=", "contains", "starts with", "like"):
            expression = f"label {comparison} '{text.replace(chr(39), chr(39) * 2)}'"
            assert table.search().where(to_sql(expression, table.schema)).to_arrow().num_rows == 0, expression
