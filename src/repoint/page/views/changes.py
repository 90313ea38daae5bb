"""What can be changed. Everything but a look asks for the passcode first."""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette.responses import Response

from repoint.agent import restart as agent_restart
from repoint.device.activate.restart import Restarted
from repoint.device.store.records import UserSettings
from repoint.host import logind
from repoint.page.auth.errors import Refusal
from repoint.page.auth.passcode_prompt import require
from repoint.page.jobs import Job
from repoint.page.request_context import Refused, RequestContext
from repoint.page.views import sheets

_LONGEST_REASON = 200

_MOMENT = 0.7
"""Seconds to wait for what is soon done."""


def automatic(visit: RequestContext) -> Response:
    """Turn Automatically Install on or off."""
    product, to = visit.product, visit.form.get("to")
    if to not in ("on", "off"):
        raise Refused("forged", 400)
    if visit.site.device().decided(product).automatic_locked_by:
        raise Refused("administrator")
    refusal = _asked(visit)
    if refusal is not None:
        return sheets.automatic(visit, refusal)
    visit.site.device().change_settings(product, UserSettings(automatic=to == "on"))
    return visit.back(product)


def install(visit: RequestContext) -> Response:
    """Download, verify, prepare and stage what the person has seen."""
    product, site = visit.product, visit.site
    shown = visit.look().available
    if shown is None or shown.label != visit.form.get("label"):
        # Something else is offered by now; let the person see it first.
        return sheets.install(visit)
    refusal = _asked(visit)
    if refusal is not None:
        return sheets.install(visit, refusal)
    job = Job("install", product, shown.label, shown.parts)
    work: Callable[..., object] = functools.partial(
        site.device().install, product, user_initiated=True
    )
    if site.jobs.start(job, lambda report: work(progress=report)):
        site.sessions.grant_restart(visit.secret, f"{product} {shown.label}")
    return visit.back(product)


def restart(visit: RequestContext) -> Response:
    """Close what runs old code, switch, and start it again."""
    product, site = visit.product, visit.site
    panel = visit.look()
    if panel.status.staged != visit.form.get("label"):
        return sheets.restart(visit)
    if not (site.may_change(visit.session.uid) and sheets.granted(visit, panel)):
        refusal = _asked(visit)
        if refusal is not None:
            return sheets.restart(visit, refusal)
    job = Job("restart", product, panel.status.staged or panel.status.in_force)
    names = {pid: program.name for program in panel.closing for pid in program.pids}
    again = {pid for program in panel.closing if program.starts_again for pid in program.pids}

    def work(_: object) -> None:
        done = agent_restart.restart(site.device(), product, counting=job.count)
        job.countdown = 0
        if isinstance(done, Restarted):
            closed = {names.get(use.pid, use.name) for use in done.closed if use.pid not in again}
            job.left_closed = tuple(sorted(closed))

    site.jobs.start(job, work)
    site.jobs.settle(_MOMENT)
    return visit.back(product)


def remove(visit: RequestContext) -> Response:
    """Back to the baseline."""
    product, site = visit.product, visit.site
    device = site.device()
    panel = visit.look()
    if not panel.ahead.decided.removal:
        raise Refused("administrator")
    if panel.in_force is None or panel.in_force.label != visit.form.get("label"):
        return sheets.remove(visit)
    refusal = _asked(visit)
    if refusal is not None:
        return sheets.remove(visit, refusal)
    reason = " ".join(visit.form.get("reason", "")[:_LONGEST_REASON].split())
    job = Job("remove", product, panel.in_force.label)
    site.jobs.start(job, lambda _: device.remove(product, why=reason))
    site.jobs.settle(_MOMENT)
    return visit.back(product)


def check(visit: RequestContext) -> Response:
    """Ask the repository for news. That installs nothing, so no passcode is asked for."""
    product, device = visit.product, visit.site.device()
    visit.site.jobs.start(Job("check", product), lambda _: device.check(product))
    visit.site.jobs.settle(_MOMENT)
    return visit.back(product)


def stop(visit: RequestContext) -> Response:
    """Stop an installation, of which what was downloaded is kept; or a countdown."""
    if not visit.site.may_change(visit.session.uid):
        raise Refused("administrator")
    job = visit.site.jobs.of(visit.product)
    if job is not None and job.running and job.stoppable:
        job.stop()
        visit.site.jobs.settle(_MOMENT)
    elif visit.look().restarts_at is not None:
        logind.cancel_restart()
    return visit.back(visit.product)


def dismiss(visit: RequestContext) -> Response:
    """Show no more what came of the last thing."""
    visit.site.jobs.forget(visit.product)
    return visit.back(visit.product)


def _asked(visit: RequestContext) -> Refusal | None:
    try:
        require(visit)
    except Refusal as refusal:
        return refusal
    return None
