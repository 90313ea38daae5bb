"""What can be looked at: the panel of a product, the products, and the history."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from repoint.device.status.status import Status
from repoint.model.errors import RepointError
from repoint.page.i18n.words import Words
from repoint.page.jobs import Job
from repoint.page.request_context import RequestContext
from repoint.page.views import plans
from repoint.page.views.panel import Panel
from repoint.page.views.sheets import listed

_SHOWN_EVENTS = 5


@dataclass(frozen=True)
class Headline:
    """The answer, in words."""

    title: Markup
    text: Markup


@dataclass(frozen=True)
class Banner:
    """What came of the last thing that was done, where the panel does not show it by itself."""

    tone: str
    text: Markup
    details: str = ""


def products(visit: RequestContext) -> Response:
    """All products; where there is one, its panel."""
    names = visit.products()
    if len(names) == 1:
        return RedirectResponse(f"/product/{names[0]}/", 303)
    panels = [visit.look_at(name) for name in names]
    return visit.page(
        "products.html", products=[(p, verdict(visit.words, p).title) for p in panels]
    )


def panel(visit: RequestContext) -> Response:
    """The panel of a product."""
    words = visit.words
    # The job first: what it ends while we look is then looked at once more.
    job = visit.site.jobs.of(visit.product)
    job = job.as_it_stands() if job is not None else None
    seen = visit.look()
    decided = seen.ahead.decided
    events = [entry for entry in seen.history if entry.event != "confirmed"]
    return visit.page(
        "panel.html",
        panel=seen,
        now=visit.site.clock(),
        above=_above(visit),
        verdict=verdict(words, seen),
        decided=decided,
        install_plan=plans.installation(words, seen, visit.site.clock()),
        activation_plan=plans.activation(words, seen, visit.site.clock()),
        job=job,
        job_title=title_of(words, job),
        job_text=text_of(words, job),
        notice=_notice(words, job),
        events=events[:_SHOWN_EVENTS],
        more=len(seen.history) > _SHOWN_EVENTS,
    )


def history(visit: RequestContext) -> Response:
    """All that happened, newest first."""
    entries = visit.site.device().history(visit.product)
    above = [*_above(visit), (visit.words("page.title"), "./")]
    return visit.page("history.html", above=above, events=entries[::-1])


def verdict(words: Words, seen: Panel) -> Headline:
    """The answer to the one question that people have."""
    key = "removing" if seen.verdict == "restart" and seen.removing else seen.verdict
    status: Status = seen.status
    label = status.in_force if key in ("removing", "exposed") else status.staged
    cves = seen.open_cves if key == "open" else seen.waiting_cves
    return Headline(
        words(f"verdict.{key}.title"),
        words(
            f"verdict.{key}.text",
            product=status.product,
            label=label,
            cves=listed(words, cves),
        ),
    )


def title_of(words: Words, job: Job | None) -> Markup:
    """What is being done."""
    if job is None or job.kind == "check":
        return Markup()
    return words(f"{job.kind}.running", label=job.label)


def text_of(words: Words, job: Job | None) -> Markup:
    """How far it is."""
    if job is None or not job.running:
        return Markup()
    if job.countdown and not job.stopping:
        return words("restart.countdown", span=words.span(job.countdown))
    if job.kind != "install":
        return Markup()
    if job.stopping:
        return words("install.stopping")
    if not job.step or (job.step == "download" and not job.total):
        return words("install.waiting")
    return words(f"install.{job.step}", done=words.size(job.done), total=words.size(job.total))


def error_text(words: Words, error: RepointError) -> Markup:
    """What an error means to a person at the page, where commands are of no use."""
    key = f"error.{type(error).__name__}"
    return words(key) if words.has(key) else words("error.other")


def _notice(words: Words, job: Job | None) -> Banner | None:
    if job is None or job.running:
        return None
    if job.state == "stopped":
        what = "error.stopped" if job.kind == "install" else "error.not restarted"
        return Banner("calm", words(what))
    if job.error is not None:
        return Banner("bad", error_text(words, job.error), job.error.message)
    if job.left_closed:
        programs = words.all_of(job.left_closed)
        return Banner("calm", words("error.started", programs=programs))
    return None


def _above(visit: RequestContext) -> list[tuple[Markup, str]]:
    if len(visit.products()) < 2:
        return []
    return [(visit.words("page.products"), "/")]
