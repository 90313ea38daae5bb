"""The changes that forms request. Each requires the passcode, except check, stop and dismiss."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from repoint.agent import restart as agent_restart
from repoint.device.activate.restart import Restarted
from repoint.device.device import Device
from repoint.device.outcomes import require_done
from repoint.device.store.records import Actor
from repoint.page.auth.errors import PasscodeError, RequestRefusedError
from repoint.page.auth.passcode_prompt import require_passcode
from repoint.page.auth.passcodes import account_name
from repoint.page.jobs import ChangedMeanwhileError, Job, Report
from repoint.page.views import sheets
from repoint.page.views.request_context import RequestContext

_LONGEST_REASON = 200

_SHORT_WAIT = 0.7
"""Seconds to wait for a job. If it ends in this time, no page needs to show its progress."""

_LOCK_TIMEOUT = 300
"""Seconds that a change waits for another command, such as a check in the background."""

_CHECK_INTERVAL = 60
"""Seconds between two checks by accounts that may not change anything."""


def automatic(context: RequestContext) -> Response:
    """Turn Automatically Install on or off."""
    product, value = context.product, context.form.get("to")
    if value not in ("on", "off"):
        raise RequestRefusedError("forged", 400)
    device = context.app.device()
    if device.preferences.effective_settings(product).automatic_locked_by:
        raise RequestRefusedError("administrator")
    error = _passcode_error(context)
    if error is not None:
        return sheets.automatic(context, error)
    settings = device.preferences.settings(product)
    changed = msgspec.structs.replace(settings, automatic=value == "on")
    device.preferences.change_settings(product, changed)
    return context.redirect_to_panel()


def reports(context: RequestContext) -> Response:
    """Turn Share Reports on, for the address that the sheet showed, or off."""
    product, value = context.product, context.form.get("to")
    if value not in ("on", "off"):
        raise RequestRefusedError("forged", 400)
    parts = context.app.device(wait=_LOCK_TIMEOUT).reports
    reporting = parts.reporting(product)
    if reporting.locked_by:
        raise RequestRefusedError("administrator")
    address = context.form.get("address", "")
    if address != (reporting.address or reporting.proposed):
        # The vendor names another address by now. Show that first.
        return sheets.reports(context)
    error = _passcode_error(context)
    if error is not None:
        return sheets.reports(context, error)
    if value == "on":
        parts.turn_on(product, address)
    else:
        parts.turn_off(product)
    return context.redirect_to_panel()


def install(context: RequestContext) -> Response:
    """Download, verify, prepare and stage the improvement that the sheet showed."""
    product, app = context.product, context.app
    offer = context.panel().available
    if offer is None or offer.label != context.form.get("label"):
        # The repository offers something else by now. Show that first.
        return sheets.install(context)
    error = _passcode_error(context)
    if error is not None:
        return sheets.install(context, error)
    job = Job("install", product, offer.label, context.session.uid, offer.components)

    def work(report: Report) -> None:
        offered = app.device().status(product).available
        _require_unchanged(offer.label, offered.label if offered is not None else "")
        require_done(_acting(context).install(product, user_initiated=True, progress=report))

    if app.jobs.start(job, work):
        app.sessions.grant_restart(context.secret, f"{product} {offer.label}")
    return context.redirect_to_panel()


def restart(context: RequestContext) -> Response:
    """Close the programs that run old code, activate, and start them again."""
    product, app = context.product, context.app
    panel = context.panel()
    if panel.status.staged != context.form.get("label"):
        return sheets.restart(context)
    if not (context.may_change and sheets.is_restart_granted(context, panel)):
        error = _passcode_error(context)
        if error is not None:
            return sheets.restart(context, error)
    job = Job("restart", product, panel.status.staged or panel.status.in_force,
              context.session.uid)  # fmt: skip
    names = {pid: program.name for program in panel.closing for pid in program.pids}
    restarted = {pid for program in panel.closing if program.starts_again for pid in program.pids}

    def work(_: object) -> None:
        _require_unchanged(panel.status.staged, app.device().status(product).staged)
        result = agent_restart.restart(_acting(context), product, on_second=job.count_down)
        require_done(result)
        job.countdown = 0
        if isinstance(result, Restarted):
            closed = {
                names.get(use.pid, use.name) for use in result.closed if use.pid not in restarted
            }
            closed |= {program.name for program in result.not_started}
            job.left_closed = tuple(sorted(closed))

    if app.jobs.start(job, work):
        job.wait(_SHORT_WAIT)
    return context.redirect_to_panel()


def remove(context: RequestContext) -> Response:
    """Return to the baseline."""
    product, app = context.product, context.app
    panel = context.panel()
    if not panel.overview.effective_settings.removal:
        raise RequestRefusedError("administrator")
    if panel.in_force is None or panel.in_force.label != context.form.get("label"):
        return sheets.remove(context)
    error = _passcode_error(context)
    if error is not None:
        return sheets.remove(context, error)
    reason = " ".join(context.form.get("reason", "")[:_LONGEST_REASON].split())
    label = panel.in_force.label

    def work(_: object) -> None:
        _require_unchanged(label, app.device().status(product).in_force)
        require_done(_acting(context).remove(product, why=reason))

    job = Job("remove", product, label, context.session.uid)
    if app.jobs.start(job, work):
        job.wait(_SHORT_WAIT)
    return context.redirect_to_panel()


def check(context: RequestContext) -> Response:
    """Check the repository. This installs nothing, so it needs no passcode."""
    product, app = context.product, context.app
    last = app.device().status(product).last_check
    age = app.clock() - last.when if last is not None else _CHECK_INTERVAL
    if context.may_change or not 0 <= age < _CHECK_INTERVAL:
        job = Job("check", product, uid=context.session.uid)
        if app.jobs.start(job, lambda _: app.device().check(product)):
            job.wait(_SHORT_WAIT)
    return context.redirect_to_panel()


def stop(context: RequestContext) -> Response:
    """Stop an installation, whose download is kept, or the countdown of a restart."""
    if not context.may_change:
        raise RequestRefusedError("administrator")
    jobs = context.app.jobs
    job = jobs.latest(context.product)
    if job is not None and job.running and job.stoppable:
        jobs.stop(job)
        job.wait(_SHORT_WAIT)
    elif context.panel().overview.scheduled_restart is not None:
        context.app.device().host.logind.cancel_restart()
    return context.redirect_to_panel()


def dismiss(context: RequestContext) -> Response:
    """Dismiss the outcome of the last job."""
    job = context.app.jobs.latest(context.product)
    if job is not None and (context.may_change or job.uid == context.session.uid):
        context.app.jobs.dismiss(context.product)
    return context.redirect_to_panel()


def _acting(context: RequestContext) -> Device:
    """Return the device for changes of the session's account, which the history names."""
    actor = Actor("person", account_name(context.session.uid))
    return context.app.device(wait=_LOCK_TIMEOUT).acting(actor)


def _require_unchanged(confirmed: str, now: str) -> None:
    """Return if a job that may have waited still does what the person has confirmed.

    Raises:
        ChangedMeanwhileError: It would do something else.
    """
    if now != confirmed:
        raise ChangedMeanwhileError(
            f"Confirmed was {confirmed or 'nothing'}, and it is {now or 'nothing'} now",
            hint="Look at the page again",
        )


def _passcode_error(context: RequestContext) -> PasscodeError | None:
    """Return why the passcode is not accepted; None if it is.

    Raises:
        RequestRefusedError: The account may not change anything, whatever its passcode.
    """
    if not context.may_change:
        raise RequestRefusedError("administrator")
    try:
        require_passcode(context.app.guard(context.session.uid), context.form)
    except PasscodeError as error:
        return error
    return None
