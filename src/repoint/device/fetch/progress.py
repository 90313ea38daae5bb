"""Progress of an installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Step = Literal["download", "decode", "verify"]

Progress = Callable[[Step, int, int], None]
"""Called with the step, the bytes that are done and the bytes to do (0 while that is unknown).

An exception that it raises, such as a `CancelledError`, cancels the installation.
"""
