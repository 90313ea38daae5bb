"""Tables as CSV, also for spreadsheets, which take some texts for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a formula begins with. Texts come from reports, which anybody can send."""


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Return lines as CSV; a text that a spreadsheet would take for a formula gets a ``'``."""
    text = io.StringIO()
    csv.writer(text).writerows([[_harmless(cell) for cell in line] for line in lines])
    return text.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
