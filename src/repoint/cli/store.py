"""The default store."""

from __future__ import annotations

import os


def default_store() -> str:
    """Return the system's store for root, and else the store in the user's data folder."""
    if os.geteuid() == 0:
        return "/var/lib/repoint"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return f"{os.path.expanduser(data)}/repoint"
