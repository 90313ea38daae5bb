"""The options that describe the schedule of a rollout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from repoint.model.catalog import Urgency
    from repoint.model.rollout import Step

RingOption = Annotated[
    list[str] | None,
    typer.Option("--ring", help="A ring of devices that goes first. May be given several times."),
]
RampOption = Annotated[
    str | None,
    typer.Option(help='The shares and their time, such as "1% 10% 50% 100% over 3d".'),
]
PlanOption = Annotated[
    Path | None, typer.Option(help="A TOML file with the steps, instead of a ramp.")
]
ManualOption = Annotated[
    bool, typer.Option("--manual", help="Wait for `rollout promote` before each further step.")
]


def chosen_steps(
    ramp: str | None, plan: Path | None, rings: list[str] | None, urgency: Urgency
) -> tuple[Step, ...]:
    """Return the schedule that the options of a command describe.

    Raises:
        typer.BadParameter: Two of them exclude each other.
        RolloutPlanError: A ramp or a plan is malformed.
    """
    from repoint.publisher.rollout.plan import DEFAULT_RAMP, parse_ramp, read_plan

    if plan is not None:
        if ramp is not None or rings:
            raise typer.BadParameter("A plan names its own shares and rings", param_hint="--plan")
        return read_plan(plan)
    if ramp is None:
        ramp = DEFAULT_RAMP[urgency]
    return parse_ramp(ramp, rings=tuple(rings or ()))
