"""When what is to come happens by itself, and why not earlier, in words."""

from __future__ import annotations

from markupsafe import Markup

from repoint.agent.plan import Step
from repoint.page.i18n.words import Words
from repoint.page.views.panel import Panel


def installation(words: Words, seen: Panel, now: float) -> tuple[Markup, ...]:
    """When what is available is installed by itself; nothing where the panel says why not."""
    step = seen.ahead.plan.install
    if step is None or step.reason in ("removed", "failed"):
        return ()
    return _said(words, "plan.install", step, seen.ahead.plan.deadline, now)


def activation(words: Words, seen: Panel, now: float) -> tuple[Markup, ...]:
    """When what is staged comes into force by itself, or what runs old code restarts."""
    step = seen.ahead.plan.activate
    if step is None:
        return ()
    return _said(words, "plan.activate", step, seen.ahead.plan.deadline, now)


def _said(
    words: Words, key: str, step: Step, deadline: int | None, now: float
) -> tuple[Markup, ...]:
    when = words.time(step.when, now) if step.when is not None else ""
    said = [words(f"{key}.{step.reason}", when=when)]
    if deadline is not None and step.reason != "deadline" and step.when != deadline:
        said.append(words("plan.deadline", when=words.time(deadline, now)))
    if step.policy:
        said.append(words("plan.policy", source=step.policy))
    return tuple(said)
