"""``repoint improve``: improvements as drafts, for one baseline or for all that a fix concerns."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.options import (
    BuildOption,
    ManifestOption,
    PlatformOption,
    RepositoryOption,
    named,
    path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repoint.publisher.improve.batch import Outcome
    from repoint.publisher.improve.request import ImprovementRequest
    from repoint.publisher.manifest.choice import LeftOut
    from repoint.publisher.manifest.requests import FixOptions
    from repoint.repository.repository import Repository


def improve(
    advisory: Annotated[
        Path, typer.Option(parser=path, help="TOML file with the advisory: what it fixes.")
    ],
    product: Annotated[
        str | None, typer.Argument(help="The product.", show_default="that of the manifest")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Only this version.", show_default="all of the manifest"),
    ] = None,
    component: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SOURCE: the whole fixed component.", show_default="the manifest's"),
    ] = None,
    build: BuildOption = None,
    platform: PlatformOption = None,
    letter: Annotated[
        str | None, typer.Option(help="Skip to this letter, to keep platforms in step.")
    ] = None,
    drop_fix: Annotated[
        list[str] | None,
        typer.Option(
            help="A CVE id that an earlier letter fixes and this one knowingly does not. May be "
            "repeated. It applies only to baselines whose next letter would lose the fix."
        ),
    ] = None,
    retract_fix: Annotated[
        list[str] | None,
        typer.Option(
            help="A CVE id that an earlier letter claims to fix and never did. May be repeated."
        ),
    ] = None,
    rename_cve: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: corrects a CVE id that an earlier letter names wrongly."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Build it in place of the last unpublished draft of a baseline."
        ),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be built, and build nothing.")
    ] = False,
    manifest: ManifestOption = None,
    repository: RepositoryOption = Path(),
) -> None:
    """Build an improvement as a draft: one patch for each fixed component.

    With a manifest, it builds one for each baseline that the advisory concerns. After an
    interruption, the same command continues where it stopped.
    """
    from repoint.publisher.catalog.claims import Corrections
    from repoint.publisher.manifest.choice import Choice, manifest_of
    from repoint.publisher.manifest.requests import FixOptions, requests_for
    from repoint.repository.repository import Repository

    options = FixOptions(
        Choice(version, build, platform),
        named(component or [], "--component"),
        letter,
        Corrections(
            tuple(drop_fix or ()),
            named(rename_cve or [], "--rename-cve"),
            tuple(retract_fix or ()),
        ),
        replace,
    )
    if replace and letter is not None:
        raise typer.BadParameter("--replace keeps the letter of the draft; leave out --letter")
    file = manifest_of(product, manifest)
    if file is None and (product is None or version is None or not component):
        raise typer.BadParameter(
            "without a manifest, or with that of another product, name the product, --version and "
            "--component; `repoint init` writes a manifest"
        )
    opened = Repository.open(repository)
    left_out: list[LeftOut] = []
    if file is not None:
        requests, left_out = requests_for(opened, file, advisory, options)
    else:
        requests = [_request(opened, product or "", advisory, options)]
    _warn_of_the_future(requests)
    if plan:
        _plan(opened, requests, left_out)
    else:
        _build(opened, requests, left_out, in_manifest=file is not None and manifest is None)


def _request(
    repository: Repository, product: str, advisory: Path, options: FixOptions
) -> ImprovementRequest:
    """Return the improvement that the options alone describe."""
    from repoint.publisher.advisory_file import read_advisory
    from repoint.publisher.improve.request import ImprovementRequest
    from repoint.publisher.publisher import Publisher

    choice = options.choice
    baseline = Publisher(repository).baseline(
        product, choice.version or "", build=choice.build, platform=choice.platform
    )
    fixes = read_advisory(advisory, [component.name for component in baseline.components])
    sources = {name: Path(source) for name, source in options.sources.items()}
    return ImprovementRequest(
        product, baseline.name, sources, fixes, options.letter, options.corrections,
        replace=options.replace,
    )  # fmt: skip


def _plan(
    repository: Repository, requests: Sequence[ImprovementRequest], left_out: Sequence[LeftOut]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from repoint.cli.progress import progress_lines
    from repoint.cli.vendor.manifest.improvement_view import print_left_out, print_planned
    from repoint.publisher.improve.batch import Run, plan_all

    with ThreadPoolExecutor(os.cpu_count()) as executor, progress_lines({}):
        outcomes = plan_all(repository, requests, Run(executor))
    _refuse_alone(outcomes)
    for outcome in outcomes:
        print_planned(outcome)
    print_left_out(left_out)
    _fail(outcomes)


def _build(
    repository: Repository,
    requests: Sequence[ImprovementRequest],
    left_out: Sequence[LeftOut],
    *,
    in_manifest: bool,
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from repoint.cli.progress import progress_bar
    from repoint.cli.terminal import print
    from repoint.cli.vendor.manifest.improvement_view import print_left_out, print_outcome
    from repoint.model.baseline import BaselineName
    from repoint.publisher.improve.batch import Run, build_all

    processors = os.cpu_count() or 1
    at_once = min(processors, len(requests))
    alone = len(requests) == 1
    labels = {
        f"{request.baseline} {part}": f"diff {part}"
        + ("" if alone else f" for {request.baseline.version} {request.baseline.platform}")
        for request in requests
        for part in request.sources
    }
    with (
        progress_bar(labels) as report,
        ThreadPoolExecutor(at_once) as executor,
    ):

        def progress(name: BaselineName, part: str, done: int, total: int) -> None:
            report(f"{name} {part}", done, total)

        run = Run(executor, -(-processors // at_once), progress)
        outcomes = build_all(repository, requests, run, created=int(time.time()))
    _refuse_alone(outcomes)
    for outcome in outcomes:
        print_outcome(outcome, paths=alone)
    print_left_out(left_out)
    _fail(outcomes)
    if any(outcome.state in ("new", "drafted") for outcome in outcomes):
        # With the manifest of another product, or none, `publish` needs the product's name.
        product = "" if in_manifest else f" {requests[0].product}"
        print(f"Publish it with `repoint publish{product}`.")


def _warn_of_the_future(requests: Sequence[ImprovementRequest]) -> None:
    """Say on standard error which CVE ids are of a year that has not begun."""
    from repoint.cli.terminal import print
    from repoint.publisher.advisory_file import cves_of_the_future

    year = time.localtime().tm_year
    for cve in dict.fromkeys(c for r in requests for c in cves_of_the_future(r.advisory, year)):
        print(
            f"{cve} is of a year in the future. If that is a typing error, correct the advisory "
            "and build it again with --replace.",
            file=sys.stderr,
        )


def _fail(outcomes: Sequence[Outcome]) -> None:
    """Report what failed.

    Raises:
        NothingChangedError: Every baseline has the fix.
        typer.Exit: Something failed; the status is 1.
    """
    from repoint.cli.output import report_troubles
    from repoint.publisher.errors import NothingChangedError

    report_troubles({str(o.request.baseline): o.error for o in outcomes if o.error is not None})
    if all(outcome.state == "unconcerned" for outcome in outcomes):
        names = ", ".join(dict.fromkeys(name for each in outcomes for name in each.left_out))
        raise NothingChangedError(
            f"The source of {names} is the same as in every baseline",
            hint="Build the fix, or name it with --component NAME=SOURCE",
        )


def _refuse_alone(outcomes: Sequence[Outcome]) -> None:
    """Raise the error of the only baseline, if it has one."""
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
