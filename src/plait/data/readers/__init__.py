"""Files and folders of every format, read as columns; ``formats`` chooses the reader."""

from __future__ import annotations
