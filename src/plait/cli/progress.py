"""Progress of a verb: bars on stderr, or a line every few seconds where that is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.cli.speaking import typed_language

if TYPE_CHECKING:
    from plait.api import TerminalProgress


def terminal_progress(*, quiet: bool = False) -> TerminalProgress:
    """What a verb hands to the API as ``progress=``, to be closed behind it; it speaks the language of ``--lang``."""
    from plait.api import TerminalProgress  # a verb that runs has imported its room already

    return TerminalProgress(quiet=quiet, lang=typed_language())
