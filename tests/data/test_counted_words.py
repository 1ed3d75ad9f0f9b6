"""Texts of scripts without spaces are counted in characters, others in words."""

from __future__ import annotations

import pytest

from plait.data.column_kind import Hints
from plait.data.guess import guess_column
from plait.data.table import read_table


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["客服热情而且质量很好", "物流太慢包装也破了"], "10 characters a value on average"),  # 10 and 9: 9.5
        (["用 Plait 训练模型非常方便", "在 CPU 上也能很快训练完"], "13 characters a value on average"),  # 14 and 12
        (["天気がとても良いです", "今日は雨が降っています"], "10 characters a value on average"),  # 10 and 11
        (["a calm street by the sea", "trams all night and day"], "6 words a value on average"),  # 6 and 5: 5.5
        (["meets 李雷 and 韩梅 in town", "meets 李雷 and 韩梅 in town"], "8 words a value on average"),  # 6 and 4 / 2
    ],
)
def test_what_a_column_of_texts_holds(texts: list[str], said: str) -> None:
    assert guess_column(read_table({"t": texts}), "t", Hints()) == ("text", said)
