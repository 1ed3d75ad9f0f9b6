"""Python's garbage collector during a run of many trainings.

The Trainer asks for a full collection before each training, which walks through everything that lives: with PyTorch and
transformers imported about a million objects and half a second, for each network of an ensemble or a comparison.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def old_objects_set_aside() -> Iterator[None]:
    """Collect only what was made since; what lived before is walked through again afterwards.

    Does nothing where somebody has frozen objects already (``gc.freeze``), as only all of them together can be thawed.
    """
    if gc.get_freeze_count() > 0:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
