"""Print the status for people: the answer first, then the facts behind it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from repoint.agent.overview.descriptions import (
    MACHINE,
    describe_activation,
    describe_deadline,
    describe_install,
    describe_restart,
    format_time,
    name_component,
    name_fixes,
)
from repoint.agent.overview.headline import headline
from repoint.agent.overview.overview import Overview
from repoint.cli.output import counted, moment, size, switch
from repoint.cli.terminal import print
from repoint.device.status.fixes import CveStatus
from repoint.device.status.status import Status
from repoint.model.baseline import About

_MARKS = {"in force": "+", "waiting for restart": "~", "not fixed": "-"}
_STATES = {
    "in force": "fixed, in force",
    "waiting for restart": "fixed, waiting for restart",
    "not fixed": "not fixed",
}

_LAYERS = {
    "folder": "folder",
    "image": "image, verified by the kernel at every read",
    "damaged": "image, content differs from what was signed: the kernel refuses it; "
    "`repoint check` repairs it",
}


_REASONS = {
    "argument": "an argument names the component",
    "environment": "a variable names the component",
    "folder": "it works in the component's folder",
    "program": "it is the component's program",
}


def print_status(overview: Overview) -> None:
    """Print a product's status, and what is to come."""
    status, settings = overview.status, overview.effective_settings
    print(headline(overview))
    named = f"{overview.about.name} ({status.product})" if overview.about.name else status.product
    print(f"  product    {named} {status.version} ({status.build}), {status.platform}")
    vendor = ", ".join(filter(None, [overview.about.vendor, overview.about.contact]))
    if vendor:
        print(f"  vendor     {vendor}")
    if overview.about.support:
        print(f"  help       {overview.about.support}")
    print(f"  in force   {status.in_force}")
    if status.on_trial:
        print("             on trial: rolled back automatically if its services do not run")
    if status.withdrawn:
        print(f"             withdrawn by the vendor: {status.withdrawn}")
        print("             it stays in force until a later letter replaces it; "
              f"{overview.command('remove')} removes it now")  # fmt: skip
    if status.staged:
        print(f"  staged     {status.staged}, waiting for a restart")
    _print_activation(overview)
    if status.available is not None:
        print_offer(overview, fixes=False)
    deadline = describe_deadline(overview)
    if deadline:
        print(f"             enforced {deadline}")
    _print_cves(status.cves, overview.about)
    _print_advice(overview)
    _print_exposed(status, overview.about)
    _print_unknown(status, overview.about)
    _print_layers(status, overview.about)
    automatic = switch(settings.automatic, settings.automatic_locked_by)
    print(f"  settings   Automatically Install is {automatic}")
    if settings.removal_locked_by and not settings.removal:
        print(f"             removal is locked by {settings.removal_locked_by}")
    if settings.policy_problem:
        print(f"  policy   ! the current policy files are not in force: {settings.policy_problem}")
    if overview.hindrance:
        print(f"  updates  ! {overview.hindrance}")
    print(f"  last check {_last_check(status)}")
    if status.last_check is not None and status.last_check.note:
        print(f"             {status.last_check.note}")
    print(f"  next check {format_time(overview.next_check) or 'with `repoint check`'}")


def print_offer(overview: Overview, *, fixes: bool = True) -> None:
    """Print what is available, when it installs automatically, and what will have to restart."""
    offer, step = overview.status.available, overview.plan.install
    if offer is None:
        return
    urgent = ", urgent: its fixes are exploited" if offer.urgency == "exploited" else ""
    print(f"  available  {offer.label}: {offer.title} ({size(offer.size)}){urgent}")
    if offer.published:
        print(f"             published {moment(offer.published)}")
    if offer.held_back:
        print(f"             not installed automatically: {offer.held_back}")
    elif step is not None and not fixes:
        print(f"             {describe_install(step)}")
    if fixes or not offer.held_back:
        restarts = describe_restart(overview.affected_by_offer)
        print(f"             will have to restart: {restarts}")
    for number, reopened in enumerate(offer.reopens):
        fix = f"{reopened.name} in {name_component(overview.about, reopened.component)}"
        print(f"  {'lacks' if not number else '':<9}! {fix}, fixed here by ({reopened.letter})")
    if fixes:
        _print_cves(overview.fixed_by_offer, overview.about)


def _print_activation(overview: Overview) -> None:
    step = overview.plan.activate
    if step is None:
        return
    # Without anything staged, what is in force lacks only the programs that run the old code.
    verb = "comes into force" if overview.status.staged else "in force everywhere"
    print(f"             {verb} {describe_activation(overview)}")
    restarts = describe_restart(overview.affected_now, step)
    print(f"             has to restart: {restarts}")
    if restarts == MACHINE and overview.scheduled_restart is not None:
        print(f"             it restarts at {format_time(overview.scheduled_restart)}; "
              "`repoint restart --cancel` stops that")  # fmt: skip


def _print_cves(cves: Sequence[CveStatus], about: About) -> None:
    for number, cve in enumerate(cves):
        print(f"  {'fixes' if not number else '':<9}{_MARKS[cve.state]} {_cve(cve, about)}")
        print(f"{'':<13}{cve.impact}")


def _print_advice(overview: Overview) -> None:
    """Say what a person can do about fixes that no offered improvement contains."""
    lacking = [
        cve.cve for cve in overview.status.cves if cve.unavailable and cve.state == "not fixed"
    ]
    if lacking:
        contact = f": {overview.about.contact}" if overview.about.contact else ""
        print(f"             no improvement on offer fixes {name_fixes(lacking)}: wait for the "
              f"next one, or ask the vendor{contact}")  # fmt: skip


def _print_exposed(status: Status, about: About) -> None:
    for number, process in enumerate(status.exposed):
        verb = "only reads" if process.only_reads else "runs"
        component = name_component(about, process.component)
        line = f"{process.name} ({process.pid}) {verb} {component} of {process.runs}"
        if process.files:
            line += f", {counted(len(process.files), 'replaced file')} loaded"
        line += ", in a container" if process.contained else ""
        line += ", of another account: no danger to this device" if process.only_reads else ""
        print(f"  {'exposed' if not number else '':<9}! {line}")


def _print_unknown(status: Status, about: About) -> None:
    lines = [
        f"{process.name} ({process.pid}) may run {name_component(about, process.component)} "
        f"of {process.runs}: "
        f"it was started before, and {_REASONS[process.why]}"
        for process in status.unknown
    ]
    if status.hidden:
        lines.append("running processes cannot be listed here")
    if status.unreadable:
        advice = "run `repoint status` as root" if os.geteuid() else "they keep too much open to "
        advice += "" if os.geteuid() else "look at; restart them to be sure"
        lines.append(
            f"{counted(status.unreadable, 'process')} of other accounts, started before: {advice}"
        )
    for number, line in enumerate(lines):
        print(f"  {'unknown' if not number else '':<9}? {line}")


def _print_layers(status: Status, about: About) -> None:
    for layer in sorted({graft.layer for graft in status.grafts if graft.layer}):
        print(f"  layer      {_LAYERS[layer]}")
    for graft in status.grafts:
        component = name_component(about, graft.component)
        if graft.damaged:
            print(f"  damaged    {component} at {graft.path}: {graft.damaged}")
        if not graft.in_place and graft.layer != "damaged":
            print(f"  replaced   {component} at {graft.path} was replaced from outside; "
                  "`repoint check` finds out which release it is")  # fmt: skip


def _cve(cve: CveStatus, about: About) -> str:
    label = "" if cve.state == "in force" else f" ({cve.improvement})"
    if cve.unavailable and cve.state == "not fixed":
        label += f", and {cve.unavailable}"
    return f"{cve.cve} in {name_component(about, cve.component)}: {_STATES[cve.state]}{label}"


def _last_check(status: Status) -> str:
    if status.last_check is None:
        return "never"
    last = status.last_check
    if not last.error:
        return moment(last.when)
    success = f"; last success {moment(last.success)}" if last.success else ""
    return f"{moment(last.when)}, failed: {last.error}{success}"
