"""What is installed, and what is broken: behind ``plait doctor``. Nothing here imports PyTorch."""

from __future__ import annotations
