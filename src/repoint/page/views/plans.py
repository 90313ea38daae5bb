"""When an improvement installs or activates automatically, and why not earlier, in words."""

from __future__ import annotations

from markupsafe import Markup

from repoint.agent.plan import Step
from repoint.page.i18n.translation import Translation
from repoint.page.views.panel import Panel


def installation(translate: Translation, panel: Panel, now: float) -> tuple[Markup, ...]:
    """Return when the available improvement installs. Empty if the panel says why it does not."""
    step = panel.overview.plan.install
    if step is None or step.reason in ("removed", "failed", "reopens"):
        return ()
    return _sentences(translate, "plan.install", step, panel.overview.plan.deadline, now)


def activation(translate: Translation, panel: Panel, now: float) -> tuple[Markup, ...]:
    """Return when the staged improvement comes into force, or exposed programs restart."""
    step = panel.overview.plan.activate
    if step is None:
        return ()
    if not panel.overview.attended and step.reason in ("service", "session", "system"):
        return (translate("plan.activate.unattended"),)
    return _sentences(translate, "plan.activate", step, panel.overview.plan.deadline, now)


def _sentences(
    translate: Translation, key: str, step: Step, deadline: int | None, now: float
) -> tuple[Markup, ...]:
    when = translate.upcoming(step.when, now) if step.when is not None else ""
    # The time of a step that the vendor has not released is not known.
    open_end = step.reason == "rollout" and step.when is None
    sentences = [translate(f"{key}.{step.reason}{'_open' if open_end else ''}", when=when)]
    if deadline is not None and step.reason != "deadline" and step.when != deadline:
        sentences.append(translate("plan.deadline", when=translate.upcoming(deadline, now)))
    if step.policy:
        sentences.append(translate("plan.policy", source=step.policy))
    return tuple(sentences)
