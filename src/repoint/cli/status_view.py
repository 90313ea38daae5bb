"""Printing the status for people: the answer first, then what it rests on."""

from __future__ import annotations

from repoint.cli.output import counted, moment, size
from repoint.device.status import NO_CVE, CveStatus, Status

_MARKS = {"in force": "+", "waiting for restart": "~", "not fixed": "-"}
_SAID = {
    "in force": "fixed, in force",
    "waiting for restart": "fixed, waiting for restart",
    "not fixed": "not fixed",
}


def print_status(status: Status) -> None:
    """Print a product's status."""
    print(_answer(status))
    print(f"  product    {status.product} {status.version} ({status.build}), {status.platform}")
    print(f"  in force   {status.in_force}")
    if status.withdrawn:
        print(f"             the vendor has withdrawn it: {status.withdrawn}; "
              "see `repoint remove`")  # fmt: skip
    if status.staged:
        print(f"  staged     {status.staged}, waiting for a restart")
    if status.available is not None:
        offer = status.available
        urgent = ", urgent: attacks were seen" if offer.urgency == "exploited" else ""
        print(f"  available  {offer.label}: {offer.title} ({size(offer.size)}){urgent}")
        if offer.held_back:
            print(f"             not installed by itself: {offer.held_back}")
    for number, cve in enumerate(status.cves):
        print(f"  {'fixes' if not number else '':<9}{_MARKS[cve.state]} {_cve(cve)}")
        print(f"{'':<13}{cve.impact}")
    for number, process in enumerate(status.exposed):
        said = f"{process.name} ({process.pid}) runs {process.component} of {process.runs}"
        if process.files:
            said += f", {counted(len(process.files), 'replaced file')} loaded"
        print(f"  {'exposed' if not number else '':<9}! {said}")
    if status.unreadable:
        print(f"{'':<13}{counted(status.unreadable, 'process')} could not be looked at")
    for graft in status.grafts:
        if not graft.in_place:
            print(f"  replaced   {graft.component} at {graft.path} is no longer Repoint's; "
                  "`repoint check` looks which release it is")  # fmt: skip
    print(f"  settings   Automatically Install is {'on' if status.settings.automatic else 'off'}")
    print(f"  last check {_last_check(status)}")


def _answer(status: Status) -> str:
    open_ = [cve.cve for cve in status.cves if cve.state == "not fixed"]
    waiting = [cve.cve for cve in status.cves if cve.state == "waiting for restart"]
    if status.last_check is None:
        return "Not known yet: the repository was never asked. Run `repoint check`."
    replaced = [graft.component for graft in status.grafts if not graft.in_place]
    if replaced:
        return f"Not known: {', '.join(replaced)} was replaced from outside. Run `repoint check`."
    if open_:
        return f"Not protected: {_list(open_)} not fixed here."
    if waiting or status.exposed:
        return f"Not yet protected: {_list(waiting)} fixed, but not in force before a restart."
    return "Protected: everything the vendor has fixed is in force."


def _list(cves: list[str]) -> str:
    if not cves:
        return "what is installed is"
    cves = ["a fault without a CVE id" if cve == NO_CVE else cve for cve in cves]
    shown = ", ".join(cves[:3]) + (f" and {len(cves) - 3} more" if len(cves) > 3 else "")
    return f"{shown} {'is' if len(cves) == 1 else 'are'}"


def _cve(cve: CveStatus) -> str:
    by = "" if cve.state == "in force" else f" ({cve.improvement})"
    return f"{cve.cve} in {cve.component}: {_SAID[cve.state]}{by}"


def _last_check(status: Status) -> str:
    if status.last_check is None:
        return "never"
    said = moment(status.last_check.when)
    return f"{said}, failed: {status.last_check.error}" if status.last_check.error else said
