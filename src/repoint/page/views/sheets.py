"""The sheets: each says in plain words what is going to happen, and asks for the passcode."""

from __future__ import annotations

from markupsafe import Markup
from starlette.responses import Response

from repoint.agent.overview.improvements import FixOverview
from repoint.device.status.fixes import NO_CVE
from repoint.model.address import Address
from repoint.page.auth.errors import PasscodeError
from repoint.page.auth.passcode_prompt import passcode_prompt
from repoint.page.i18n.translation import Translation
from repoint.page.views.panel import Panel
from repoint.page.views.request_context import RequestContext

_MAX_CVES = 3


def automatic(context: RequestContext, error: PasscodeError | None = None) -> Response:
    """Ask before Automatically Install is turned on or off."""
    settings = context.app.device().preferences.effective_settings(context.product)
    if settings.automatic_locked_by:
        return context.redirect_to_panel()
    key = "automatic.turn off" if settings.automatic else "automatic.on"
    return _sheet(
        context,
        "automatic",
        error,
        heading=context.translate(f"{key}.title"),
        text=context.translate(f"{key}.text"),
        to="off" if settings.automatic else "on",
        action_label=context.translate(f"{key}.do"),
        tone="warn" if settings.automatic else "calm",
        emblem="down",
    )


def reports(context: RequestContext, error: PasscodeError | None = None) -> Response:
    """Ask before Share Reports is turned on or off."""
    reporting = context.app.device().reports.reporting(context.product)
    address = reporting.address or reporting.proposed
    if reporting.locked_by or not address:
        return context.redirect_to_panel()
    key = "reports.turn off" if reporting.address else "reports.on"
    return _sheet(
        context,
        "reports",
        error,
        heading=context.translate(f"{key}.title"),
        text=context.translate(f"{key}.text", server=server_of(address)),
        to="off" if reporting.address else "on",
        address=address,
        managed=bool(reporting.device),
        action_label=context.translate(f"{key}.do"),
        tone="calm",
        emblem="report",
    )


def install(context: RequestContext, error: PasscodeError | None = None) -> Response:
    """Ask before the available improvement is installed."""
    panel = context.panel()
    offer = panel.available
    if offer is None or offer.held_back == "failed":
        return context.redirect_to_panel()
    return _sheet(
        context,
        "install",
        error,
        heading=context.translate("install.title", label=offer.label),
        offer=offer,
        closing=panel.closing_later,
        scopes=panel.scopes_later,
        cves=cve_list(context.translate, cves_of(offer.fixes)),
        action_label=context.translate("install.do"),
        tone="calm",
        emblem="down",
    )


def restart(context: RequestContext, error: PasscodeError | None = None) -> Response:
    """Ask before programs restart and the staged generation is activated."""
    panel = context.panel()
    translate, label = context.translate, panel.status.staged
    if panel.staged is not None:
        heading, action_label = translate("restart.title", label=label), translate("restart.do")
    elif panel.removing:
        heading = translate("restart.title removing", label=panel.status.in_force)
        action_label = translate("restart.do only")
    elif panel.exposed:
        heading, action_label = translate("restart.title only"), translate("restart.do only")
    else:
        return context.redirect_to_panel()
    return _sheet(
        context,
        "restart",
        error,
        needed=not is_restart_granted(context, panel),
        heading=heading,
        panel=panel,
        label=label,
        closing=panel.closing,
        scopes=panel.scopes,
        action_label=action_label,
        tone="calm",
        emblem="restart",
        cancel=translate("restart.later"),
    )


def remove(context: RequestContext, error: PasscodeError | None = None) -> Response:
    """Ask before the improvement in force is removed."""
    panel = context.panel()
    if panel.in_force is None or not panel.overview.effective_settings.removal:
        return context.redirect_to_panel()
    return _sheet(
        context,
        "remove",
        error,
        heading=context.translate("remove.title", label=panel.in_force.label),
        panel=panel,
        label=panel.in_force.label,
        exposed_again=panel.in_force.fixes,
        reason=context.form.get("reason", ""),
        action_label=context.translate("remove.do"),
        tone="bad",
        emblem="alert",
    )


def is_restart_granted(context: RequestContext, panel: Panel) -> bool:
    """Return whether this session's passcode for the installation also permits its restart."""
    if panel.staged is None:
        return False
    subject = f"{panel.product} {panel.staged.label}"
    return context.app.sessions.may_restart(context.session, subject)


def server_of(address: str) -> Markup:
    """Return the server that reports go to, as part of a sentence."""
    return Markup('<bdi class="cve">{}</bdi>').format(Address.parse(address).netloc)


def cves_of(fixes: tuple[FixOverview, ...]) -> tuple[str, ...]:
    """Return the CVE ids of fixes, each once; `NO_CVE` for a fix without one."""
    return tuple(dict.fromkeys(cve for item in fixes for cve in item.fix.cves or (NO_CVE,)))


def cve_list(translate: Translation, cves: tuple[str, ...]) -> Markup:
    """Return CVE ids as part of a sentence, shortened if there are many."""
    names = [
        translate("cves.none") if cve == NO_CVE else Markup('<bdi class="cve">{}</bdi>').format(cve)
        for cve in cves
    ]
    if len(names) > _MAX_CVES + 1:
        rest = len(names) - _MAX_CVES
        return translate("cves.some", cves=Markup(", ").join(names[:_MAX_CVES]), number=rest)
    return translate.enumeration(names)


def _sheet(
    context: RequestContext,
    name: str,
    error: PasscodeError | None,
    *,
    needed: bool = True,
    **variables: object,
) -> Response:
    allowed, uid = context.may_change, context.session.uid
    prompt = passcode_prompt(
        context.app.guard(uid), uid, context.translate, error, needed=needed and allowed
    )
    status = 200 if error is None else 429 if prompt.wait else 403
    variables.setdefault("cancel", context.translate("passcode.cancel"))
    response = context.page(
        f"{name}.html",
        status,
        action=f"{context.path_of(context.product)}{name}",
        back=context.path_of(context.product),
        allowed=allowed,
        prompt=prompt,
        **variables,
    )
    if prompt.wait and error is not None:
        response.headers["Retry-After"] = str(prompt.wait)
    return response
