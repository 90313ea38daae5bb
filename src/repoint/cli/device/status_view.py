"""Printing the status for people: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from repoint.agent import wording
from repoint.agent.overview import Overview
from repoint.cli.output import counted, moment, size, switch
from repoint.device.status.status import NO_CVE, CveStatus, Status

_MARKS = {"in force": "+", "waiting for restart": "~", "not fixed": "-"}
_SAID = {
    "in force": "fixed, in force",
    "waiting for restart": "fixed, waiting for restart",
    "not fixed": "not fixed",
}


_LAYERS = {
    "folder": "folder",
    "image": "image, checked by the kernel at every read",
    "damaged": "image, not what was signed: the kernel refuses it; `repoint check` makes it again",
}


def print_status(outlook: Overview) -> None:
    """Print a product's status, and what is to come."""
    status, plan, decided = outlook.status, outlook.plan, outlook.decided
    print(_answer(status))
    print(f"  product    {status.product} {status.version} ({status.build}), {status.platform}")
    print(f"  in force   {status.in_force}")
    if status.on_trial:
        print("             on trial: taken back by itself if what uses it does not run")
    if status.withdrawn:
        print(f"             the vendor has withdrawn it: {status.withdrawn}; "
              "see `repoint remove`")  # fmt: skip
    if status.staged:
        print(f"  staged     {status.staged}, waiting for a restart")
    if plan.activate is not None:
        print(f"             in force {wording.when_in_force(plan.activate, outlook.activating)}")
        restarts = wording.what_restarts(outlook.activating, plan.activate)
        print(f"             has to restart: {restarts}")
        if restarts == wording.MACHINE:
            _print_countdown()
    if status.available is not None:
        print_offer(outlook, fixes=False)
    if wording.deadline(outlook):
        print(f"             enforced {wording.deadline(outlook)}")
    _print_cves(status.cves)
    for number, process in enumerate(status.exposed):
        said = f"{process.name} ({process.pid}) runs {process.component} of {process.runs}"
        if process.files:
            said += f", {counted(len(process.files), 'replaced file')} loaded"
        print(f"  {'exposed' if not number else '':<9}! {said}")
    if status.unreadable:
        print(f"{'':<13}{counted(status.unreadable, 'process')} could not be looked at")
    layers = sorted({graft.layer for graft in status.grafts if graft.layer})
    for layer in layers:
        print(f"  layer      {_LAYERS[layer]}")
    for graft in status.grafts:
        if not graft.in_place and graft.layer != "damaged":
            print(f"  replaced   {graft.component} at {graft.path} is no longer Repoint's; "
                  "`repoint check` looks which release it is")  # fmt: skip
    automatic = switch(decided.automatic, decided.automatic_locked_by)
    print(f"  settings   Automatically Install is {automatic}")
    if decided.removal_locked_by and not decided.removal:
        print(f"             removal is locked by {decided.removal_locked_by}")
    if decided.policy_problem:
        print(f"  policy   ! not in force as it is: {decided.policy_problem}")
    print(f"  last check {_last_check(status)}")


def _print_countdown() -> None:
    from repoint.host.logind import scheduled_restart

    when = scheduled_restart()
    if when is not None:
        print(f"             it restarts at {wording.moment(when)}; "
              "`repoint restart --cancel` stops that")  # fmt: skip


def print_offer(outlook: Overview, *, fixes: bool = True) -> None:
    """Print what is available, when it installs by itself, and what will have to restart."""
    offer, step = outlook.status.available, outlook.plan.install
    if offer is None:
        return
    urgent = ", urgent: attacks were seen" if offer.urgency == "exploited" else ""
    print(f"  available  {offer.label}: {offer.title} ({size(offer.size)}){urgent}")
    if offer.held_back:
        print(f"             not installed by itself: {offer.held_back}")
    elif step is not None and not fixes:
        print(f"             {wording.when_installed(step)}")
    if fixes or not offer.held_back:
        print(f"             will have to restart: {wording.what_restarts(outlook.installing)}")
    if fixes:
        _print_cves([cve for cve in outlook.status.cves if cve.state == "not fixed"])


def _print_cves(cves: Sequence[CveStatus]) -> None:
    for number, cve in enumerate(cves):
        print(f"  {'fixes' if not number else '':<9}{_MARKS[cve.state]} {_cve(cve)}")
        print(f"{'':<13}{cve.impact}")


def _answer(status: Status) -> str:
    open_ = [cve.cve for cve in status.cves if cve.state == "not fixed"]
    waiting = [cve.cve for cve in status.cves if cve.state == "waiting for restart"]
    if status.last_check is None:
        return "Not known yet: the repository was never asked. Run `repoint check`."
    damaged = [graft.component for graft in status.grafts if graft.layer == "damaged"]
    if damaged:
        return (
            f"Not protected: the layer over {', '.join(damaged)} is damaged. Run `repoint check`."
        )
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
