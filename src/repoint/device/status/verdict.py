"""The answer to "am I protected?" in one word: a table without I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal[
    "unchecked", "damaged", "replaced", "open", "restart", "exposed", "stale", "unknown",
    "protected",
]  # fmt: skip
"""The answer to "am I protected?", in the order in which the causes are considered.

``unchecked``: no check has succeeded, or what is offered could not be read. ``damaged``: the
content of a tree or a layer is not what was signed. ``replaced``: a component was replaced by
something other than Repoint. ``open``: a fix is not installed. ``restart``: something is staged.
``exposed``: what is installed is in force, except for processes that still run replaced code.
``stale``: what was last heard of the vendor is too old to say that nothing is missing. ``unknown``:
a process may run replaced code, and nobody can know. ``protected``: none of these.

Only ``protected`` says that the device is protected. ``unchecked``, ``replaced``, ``stale`` and
``unknown`` say that it is not known; the others, that it is not.
"""

NOT_KNOWN: tuple[Verdict, ...] = ("unchecked", "replaced", "stale", "unknown")
"""The verdicts by which nobody knows whether the device is protected."""


class Findings(msgspec.Struct, frozen=True):
    """What was found about a product; each is a cause of the verdict of its name.

    Attributes:
        unchecked: No check has succeeded since the baseline was enrolled, or the record of what is
            offered could not be had.
        damaged: The content of a tree or a layer is not what was signed.
        replaced: Programs do not see the active generation at a graft point.
        open: A known fix is not installed.
        restart: Something is staged.
        exposed: A process runs replaced code, or a fix waits for a restart.
        stale: The metadata has expired, or no check has succeeded for too long.
        unknown: A process that may run replaced code cannot be judged or not be seen.
    """

    unchecked: bool = False
    damaged: bool = False
    replaced: bool = False
    open: bool = False
    restart: bool = False
    exposed: bool = False
    stale: bool = False
    unknown: bool = False


_CAUSES: tuple[Verdict, ...] = (
    "unchecked", "damaged", "replaced", "open", "restart", "exposed", "stale", "unknown",
)  # fmt: skip


def verdict_of(findings: Findings) -> Verdict:
    """Return the verdict: the first cause that was found, in the order of `Verdict`."""
    return next((cause for cause in _CAUSES if getattr(findings, cause)), "protected")
