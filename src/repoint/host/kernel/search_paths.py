"""Environment variables that name folders. The launcher reads this, so it imports nothing."""

from __future__ import annotations

_ENDINGS = ("PATH", "LIB", "LIBS", "HOME", "ROOT", "DIR")
"""How the names of such variables end: `PYTHONPATH`, `PERL5LIB`, `RUBYLIB`, `NODE_PATH`,
`CLASSPATH`, `LD_LIBRARY_PATH`, `R_LIBS`, `JAVA_HOME`."""


def names_folders(variable: str) -> bool:
    """Return whether the value of a variable is a list of folders, even if it holds no slash.

    In any other variable, such as ``LANG`` or ``TERM``, a word is a path only by accident.
    """
    return variable.endswith(_ENDINGS)
