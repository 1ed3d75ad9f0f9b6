"""Parts of one data set put under one another: shards, and splits with a ``split`` column that says which is which."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})


def join_splits(parts: Sequence[tuple[str, pa.Table]], source: object) -> pa.Table:
    """Splits by name under one another.

    Raises:
        ValueError: Names of no splits, a column ``split`` besides, or as :func:`stack`.
    """
    unknown = [name for name, _ in parts if name.lower() not in SPLIT_NAMES]
    if unknown:
        raise ValueError(
            f"{source}: it has parts named {', '.join(unknown)}; expected train, validation and test. Pass one part, "
            "or a dictionary of those that count: {'train': parts['train'], 'test': parts['test']}"
        )
    marked = []
    for name, part in parts:
        if "split" in part.column_names:
            raise ValueError(f"{source}: it has splits and a column 'split' too; rename that column")
        marked.append(part.append_column("split", pa.array([name] * part.num_rows, pa.string())))
    return stack(marked, source)


def stack(parts: Sequence[pa.Table], source: object) -> pa.Table:
    """Tables of the same columns under one another.

    Raises:
        ValueError: They have different columns, or columns of types that do not fit together.
    """
    names = parts[0].column_names
    for part in parts[1:]:
        if sorted(part.column_names) != sorted(names):
            raise ValueError(f"{source}: its parts have different columns: {names} and {part.column_names}")
    try:
        return pa.concat_tables([part.select(names) for part in parts], promote_options="default")
    except pa.ArrowException as error:
        raise ValueError(f"{source}: its parts do not fit together ({error})") from error
