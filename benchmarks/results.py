"""Results: groups of rows of figures, and how they are written for people."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measuring import Figure, Unit

Cell = Figure | str
"""What was measured, or a word where there is nothing to measure."""


@dataclass(frozen=True)
class Row:
    """One thing that was measured on each side.

    Attributes:
        name: What it is.
        cells: One for each subject of the group.
        goal: What the first subject's median must stay below, in the figure's unit.
    """

    name: str
    cells: tuple[Cell, ...]
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; nothing where there is none."""
        first = self.cells[0]
        if self.goal is None or not isinstance(first, Figure):
            return None
        return first.median < self.goal

    @property
    def ratio(self) -> str:
        """The second subject's median, as so many times the first one's."""
        if len(self.cells) < 2:
            return ""
        first, second = self.cells[:2]
        if not (isinstance(first, Figure) and isinstance(second, Figure)) or not first.median:
            return ""
        if first.unit != second.unit:
            return ""
        return f"{second.median / first.median:.2g}x" if second.median else ""


@dataclass(frozen=True)
class Group:
    """What belongs in one table.

    Attributes:
        title: What the table is about.
        subjects: The columns, Repoint first.
        rows: The rows.
        notes: What a reader must know beside it; one sentence or two each.
    """

    title: str
    subjects: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_ratios(self) -> bool:
        """Whether any row compares."""
        return any(row.ratio for row in self.rows)

    @property
    def has_goals(self) -> bool:
        """Whether any row has a goal."""
        return any(row.goal is not None for row in self.rows)


def shown(cell: Cell) -> str:
    """A cell as text: the median, and the least and the most where they differ."""
    if isinstance(cell, str):
        return cell
    median = value(cell.median, cell.unit)
    least, most = value(cell.least, cell.unit), value(cell.most, cell.unit)
    return median if least == most else f"{median} ({_bare(least)} to {_bare(most)})"


def goal(row: Row) -> str:
    """A row's goal, and whether it is met."""
    first = row.cells[0]
    if row.goal is None or not isinstance(first, Figure):
        return ""
    return f"< {value(row.goal, first.unit)}: {'met' if row.met else 'missed'}"


def value(number: float, unit: Unit) -> str:
    """A number with its unit."""
    if unit == "B":
        return f"{number:,.0f} B"
    if unit == "MB":
        return f"{number:.1f} MB"
    if unit == "s":
        return f"{number * 1000:.1f} ms" if number < 0.02 else f"{number * 1000:,.0f} ms"
    return f"{number:.0f}"


def _bare(text: str) -> str:
    return text.partition(" ")[0]
