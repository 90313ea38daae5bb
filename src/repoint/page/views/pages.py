"""The pages for viewing: the panel of a product, the list of products, and the history."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from repoint.agent.overview.about import icon_of
from repoint.device.report.sending import bodies
from repoint.model.errors import RepointError
from repoint.page.auth.errors import RequestRefusedError
from repoint.page.i18n.translation import Translation
from repoint.page.jobs import Job
from repoint.page.views import plans
from repoint.page.views.panel import Panel
from repoint.page.views.rendering import outside
from repoint.page.views.request_context import RequestContext
from repoint.page.views.sheets import cve_list, server_of

_SHOWN_EVENTS = 5


@dataclass(frozen=True)
class Headline:
    """The verdict in words."""

    title: Markup
    text: Markup


@dataclass(frozen=True)
class Banner:
    """The outcome of the last job, if the panel does not show it anyway."""

    tone: str
    text: Markup
    details: str = ""


def products(context: RequestContext) -> Response:
    """Show all products, or the panel if there is only one."""
    names = context.products()
    if len(names) == 1:
        return RedirectResponse(context.path_of(names[0]), 303)
    panels = [context.panel_of(name) for name in names]
    return context.page(
        "products.html", products=[(p, headline(context.translate, p).title) for p in panels]
    )


def icon(context: RequestContext) -> Response:
    """Return the icon of a product."""
    content = icon_of(context.app.device().store.product(context.product))
    if not content:
        raise RequestRefusedError("missing", 404)
    return Response(content, media_type="image/png")


def panel(context: RequestContext) -> Response:
    """Show the panel of a product."""
    translate, now = context.translate, context.app.clock()
    # Take the job first. The panel then shows at least the result of a job that ends meanwhile.
    job = context.app.jobs.latest(context.product)
    job = job.snapshot() if job is not None else None
    shown = context.panel()
    reporting = context.app.device().reports.reporting(context.product)
    address = reporting.address or reporting.proposed
    events = [entry for entry in shown.history if entry.event != "confirmed"]
    return context.page(
        "panel.html",
        panel=shown,
        now=now,
        breadcrumbs=_breadcrumbs(context),
        verdict=headline(translate, shown),
        settings=shown.overview.effective_settings,
        reporting=reporting,
        server=server_of(address) if address else "",
        install_plan=plans.installation(translate, shown, now),
        activation_plan=plans.activation(translate, shown, now),
        job=job,
        job_title=job_title(translate, job),
        job_text=job_text(translate, job),
        banner=_banner(translate, job),
        events=events[:_SHOWN_EVENTS],
        stuck=_stuck(shown),
        has_more_events=len(shown.history) > _SHOWN_EVENTS,
    )


def history(context: RequestContext) -> Response:
    """Show the whole history, newest first."""
    entries = context.app.device().history(context.product)
    breadcrumbs = [*_breadcrumbs(context), (context.translate("page.title"), "./")]
    return context.page("history.html", breadcrumbs=breadcrumbs, events=entries[::-1])


def sent(context: RequestContext) -> Response:
    """Show exactly what would be sent to the fleet now."""
    device, product = context.app.device(), context.product
    reporting = device.reports.reporting(product)
    address = reporting.address or reporting.proposed
    requests = bodies(device.reports.preview(product, device.status(product)))
    breadcrumbs = [*_breadcrumbs(context), (context.translate("page.title"), "./")]
    return context.page(
        "sent.html",
        breadcrumbs=breadcrumbs,
        is_on=bool(reporting.address),
        address=f"{address}/v1/reports" if address else "",
        answer=reporting.answer,
        bodies=[msgspec.json.format(body, indent=2).decode() for body in requests],
    )


def headline(translate: Translation, shown: Panel) -> Headline:
    """Return the answer to the question that people have: am I protected?"""
    key = "removing" if shown.verdict == "restart" and shown.removing else shown.verdict
    status, name = shown.status, outside(shown.name)
    label = status.in_force if key in ("removing", "exposed", "unknown") else status.staged
    cves = shown.cves("not fixed" if key == "open" else "waiting for restart")
    text = "text nothing" if key == "open" and shown.available is None else "text"
    return Headline(
        translate(f"verdict.{key}.title", product=name),
        translate(
            f"verdict.{key}.{text}", product=name, label=label, cves=cve_list(translate, cves)
        ),
    )


def job_title(translate: Translation, job: Job | None) -> Markup:
    """Return the title of a running job."""
    if job is None or job.kind == "check":
        return Markup()
    return translate(f"{job.kind}.running", label=job.label)


def job_text(translate: Translation, job: Job | None) -> Markup:
    """Return the progress of a running job in words."""
    if job is None or not job.running:
        return Markup()
    if job.countdown and not job.stopping:
        return translate("restart.countdown", span=translate.duration(job.countdown))
    if job.state == "waiting":
        return translate("check.queued")
    if job.kind != "install":
        return Markup()
    if job.stopping:
        return translate("install.stopping")
    if not job.step or (job.step == "download" and not job.total):
        return translate("install.waiting")
    return translate(
        f"install.{job.step}", done=translate.size(job.done), total=translate.size(job.total)
    )


def error_text(translate: Translation, error: RepointError) -> Markup:
    """Return what an error means to a person at the page, where commands are of no use."""
    key = f"error.{type(error).__name__}"
    return translate(key) if translate.has(key) else translate("error.other")


def _stuck(shown: Panel) -> bool:
    """Return whether a fix is missing here, and the person cannot install it."""
    offer = shown.available
    return shown.verdict == "open" and (offer is None or offer.held_back == "failed")


def _banner(translate: Translation, job: Job | None) -> Banner | None:
    if job is None or job.running:
        return None
    if job.state == "stopped":
        key = "error.stopped" if job.kind == "install" else "error.not restarted"
        return Banner("calm", translate(key))
    if job.error is not None:
        return Banner("bad", error_text(translate, job.error), job.error.message)
    if job.left_closed:
        programs = translate.enumeration(map(outside, job.left_closed))
        text = translate.plural("error.started", len(job.left_closed), programs=programs)
        return Banner("calm", text)
    return None


def _breadcrumbs(context: RequestContext) -> list[tuple[Markup, str]]:
    if len(context.products()) < 2:
        return []
    return [(context.translate("page.products"), context.home)]
