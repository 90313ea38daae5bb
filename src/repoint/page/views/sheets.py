"""The sheets: what is going to be done, in plain words, before it is done."""

from __future__ import annotations

from markupsafe import Markup
from starlette.responses import Response

from repoint.device.status.status import NO_CVE
from repoint.page.auth.errors import Refusal
from repoint.page.auth.passcode_prompt import ask
from repoint.page.i18n.words import Words
from repoint.page.request_context import RequestContext
from repoint.page.views.panel import Panel, ShownFix

_MOST_CVES = 3


def automatic(visit: RequestContext, refusal: Refusal | None = None) -> Response:
    """Turn Automatically Install on or off."""
    now = visit.site.device().decided(visit.product)
    if now.automatic_locked_by:
        return visit.back(visit.product)
    key = "automatic.turn off" if now.automatic else "automatic.on"
    return _sheet(
        visit,
        "automatic",
        refusal,
        heading=visit.words(f"{key}.title"),
        text=visit.words(f"{key}.text"),
        to="off" if now.automatic else "on",
        do=visit.words(f"{key}.do"),
        tone="warn" if now.automatic else "calm",
        emblem="down",
    )


def install(visit: RequestContext, refusal: Refusal | None = None) -> Response:
    """Install what is available."""
    panel = visit.look()
    shown = panel.available
    if shown is None or shown.held_back == "failed":
        return visit.back(visit.product)
    return _sheet(
        visit,
        "install",
        refusal,
        heading=visit.words("install.title", label=shown.label),
        shown=shown,
        closing=panel.closing_later,
        scopes={thing.scope for thing in panel.ahead.installing},
        cves=listed(visit.words, cves_of(shown.fixes)),
        do=visit.words("install.do"),
        tone="calm",
        emblem="down",
    )


def restart(visit: RequestContext, refusal: Refusal | None = None) -> Response:
    """Restart what runs old code, and switch to what is staged."""
    panel = visit.look()
    words, label = visit.words, panel.status.staged
    if panel.staged is not None:
        heading, do = words("restart.title", label=label), words("restart.do")
    elif panel.removing:
        heading = words("restart.title removing", label=panel.status.in_force)
        do = words("restart.do only")
    elif panel.exposed:
        heading, do = words("restart.title only"), words("restart.do only")
    else:
        return visit.back(visit.product)
    return _sheet(
        visit,
        "restart",
        refusal,
        needed=not granted(visit, panel),
        heading=heading,
        panel=panel,
        label=label,
        closing=panel.closing,
        scopes=panel.scopes,
        do=do,
        tone="calm",
        emblem="restart",
        cancel=words("restart.later"),
    )


def remove(visit: RequestContext, refusal: Refusal | None = None) -> Response:
    """Remove what is in force."""
    panel = visit.look()
    if panel.in_force is None or not panel.ahead.decided.removal:
        return visit.back(visit.product)
    return _sheet(
        visit,
        "remove",
        refusal,
        heading=visit.words("remove.title", label=panel.in_force.label),
        panel=panel,
        label=panel.in_force.label,
        opened=panel.in_force.fixes,
        reason=visit.form.get("reason", ""),
        do=visit.words("remove.do"),
        tone="bad",
        emblem="alert",
    )


def granted(visit: RequestContext, panel: Panel) -> bool:
    """Whether this session gave the passcode for the installation that the restart completes."""
    if panel.staged is None:
        return False
    what = f"{panel.product} {panel.staged.label}"
    return visit.site.sessions.may_restart(visit.session, what)


def cves_of(fixes: tuple[ShownFix, ...]) -> tuple[str, ...]:
    """The CVE ids of fixes, each once; `NO_CVE` for what has none."""
    return tuple(dict.fromkeys(cve for shown in fixes for cve in shown.fix.cves or (NO_CVE,)))


def listed(words: Words, cves: tuple[str, ...]) -> Markup:
    """CVE ids in a sentence, shortened where they are many."""
    names = [words("cves.none") if cve == NO_CVE else cve for cve in cves]
    if len(names) > _MOST_CVES + 1:
        rest = len(names) - _MOST_CVES
        return words("cves.some", cves=Markup(", ").join(names[:_MOST_CVES]), number=rest)
    return words.all_of(names)


def _sheet(
    visit: RequestContext,
    name: str,
    refusal: Refusal | None,
    *,
    needed: bool = True,
    **context: object,
) -> Response:
    allowed = visit.site.may_change(visit.session.uid)
    asked = ask(visit, refusal, needed=needed and allowed)
    status = 200 if refusal is None else 429 if asked.wait else 403
    context.setdefault("cancel", visit.words("passcode.cancel"))
    response = visit.page(
        f"{name}.html",
        status,
        action=f"/product/{visit.product}/{name}",
        back=f"/product/{visit.product}/",
        allowed=allowed,
        ask=asked,
        **context,
    )
    if asked.wait and refusal is not None:
        response.headers["Retry-After"] = str(asked.wait)
    return response
