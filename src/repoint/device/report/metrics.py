"""The status as metrics in Prometheus' text format, for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from repoint import __version__
from repoint.device.status.fixes import FixState
from repoint.device.status.status import Status


def as_metrics(statuses: Sequence[Status], *, now: int) -> str:
    """Return the status of each product as metrics.

    Args:
        statuses: The status of each product.
        now: Seconds since 1970.
    """
    lines = []
    for name, (meaning, value) in _GAUGES.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [f"{name}{_labels({'product': s.product})} {value(s)}" for s in statuses]
    lines += ["# HELP repoint_info What this device runs.", "# TYPE repoint_info gauge"]
    lines += [f"repoint_info{_labels(_facts(status))} 1" for status in statuses]
    lines += ["# HELP repoint_status_timestamp_seconds When this was written.",
              "# TYPE repoint_status_timestamp_seconds gauge",
              f"repoint_status_timestamp_seconds {now}"]  # fmt: skip
    return "\n".join(lines) + "\n"


_GAUGES: Mapping[str, tuple[str, Callable[[Status], int]]] = {
    "repoint_protected": (
        "Whether everything the vendor has fixed is known to be in force.",
        lambda status: int(status.protected),
    ),
    "repoint_cves_not_fixed": (
        "CVEs that an improvement fixes, and that are not fixed here.",
        lambda status: _count(status, "not fixed"),
    ),
    "repoint_cves_waiting_for_restart": (
        "CVEs whose fix waits for a restart.",
        lambda status: _count(status, "waiting for restart"),
    ),
    "repoint_exposed_processes": (
        "Processes that still run replaced code.",
        lambda status: len({process.pid for process in status.exposed}),
    ),
    "repoint_unknown_processes": (
        "Processes that may run replaced code.",
        lambda status: len({process.pid for process in status.unknown}),
    ),
    "repoint_improvement_available": (
        "Whether an improvement can be installed.",
        lambda status: int(status.available is not None),
    ),
    "repoint_improvement_staged": (
        "Whether something waits for a restart.",
        lambda status: int(bool(status.staged)),
    ),
    "repoint_last_check_success_timestamp_seconds": (
        "When the repository was last checked successfully; 0 for never.",
        lambda status: status.last_check.success if status.last_check is not None else 0,
    ),
}


def _count(status: Status, state: FixState) -> int:
    return len({cve.cve for cve in status.cves if cve.state == state})


def _facts(status: Status) -> dict[str, str]:
    return {
        "product": status.product,
        "platform": status.platform,
        "version": status.version,
        "build": status.build,
        "in_force": status.in_force,
        "staged": status.staged,
        "verdict": status.verdict,
        "agent": __version__,
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
