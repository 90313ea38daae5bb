"""Lines about improvements that are built, or would be."""

from __future__ import annotations

from collections.abc import Iterable

from repoint.cli.output import size
from repoint.cli.terminal import print
from repoint.publisher.improve.batch import Outcome
from repoint.publisher.improve.layers import LayerComparison
from repoint.publisher.manifest.choice import LeftOut

_MOST_PATHS = 40

_ALREADY = {"drafted": "built", "published": "published"}


def print_outcome(outcome: Outcome, *, paths: bool) -> None:
    """Print what came of the work for a baseline.

    Args:
        outcome: What came of it.
        paths: Whether to list the paths that change.
    """
    name, improvement = outcome.request.baseline, outcome.improvement
    if outcome.error is not None:
        return
    if improvement is None:
        _print_unconcerned(outcome)
        return
    if outcome.state == "new":
        print(f"Built {outcome.label} for {name} in {outcome.seconds:.1f} s.")
    else:
        print(f"{outcome.label} for {name} is {_ALREADY[outcome.state or '']} already.")
    for part, layer in (outcome.layers or {}).items():
        print(f"{part}: {_counts(layer)}")
        if paths:
            _print_paths(layer)
        patch = improvement.component(part)
        length = patch.patch_size if patch else 0
        saved = 1 - length / max(layer.full_size, 1)
        print(
            f"  patch {size(length)} for a tree of {size(layer.full_size)}"
            + (f": {saved:.1%} saved" if saved > 0 else "")
        )
    _print_parts_left_out(outcome)
    _print_claims(outcome)


def print_planned(outcome: Outcome) -> None:
    """Print what would be built for a baseline."""
    if outcome.error is not None:
        return
    if outcome.state == "unconcerned":
        _print_unconcerned(outcome)
        return
    what = "to build" if outcome.state == "new" else f"{_ALREADY[outcome.state or '']} already"
    print(f"{outcome.label} for {outcome.request.baseline}: {what}")
    for part, layer in (outcome.layers or {}).items():
        print(f"  {part} from {outcome.request.sources[part]}: {_counts(layer)}")
    _print_parts_left_out(outcome)
    _print_claims(outcome)


def print_left_out(left_out: Iterable[LeftOut]) -> None:
    """Print the baselines that a command does not work on."""
    for each in left_out:
        print(f"Left out: {each.name}, {each.reason}")


def _print_unconcerned(outcome: Outcome) -> None:
    print(
        f"{outcome.request.baseline} needs no improvement: "
        f"it has the same {' and '.join(outcome.left_out)}"
    )


def _print_parts_left_out(outcome: Outcome) -> None:
    for part in outcome.left_out:
        print(f"  {part}: the same as in the baseline, left out with its fixes")


def _print_claims(outcome: Outcome) -> None:
    if outcome.dropped:
        print(f"  no longer fixed, although an earlier letter did: {', '.join(outcome.dropped)}")
    if outcome.request.kept:
        print(f"  still fixed, so --drop-fix does not apply: {', '.join(outcome.request.kept)}")
    for part in outcome.unadvised:
        print(f"  {part}: differs too, left out because the advisory has no fix for it")
    if outcome.extends_draft:
        print(
            f"  {outcome.label} contains the unpublished draft {outcome.extends_draft} with its "
            "advisory; to build that one anew instead, use --replace"
        )
    for each in outcome.withdrawn:
        print(f"  {outcome.label} has the same content as {each}")


def _counts(layer: LayerComparison) -> str:
    counts = [
        f"{len(paths)} {word}"
        for paths, word in (
            (layer.changed, "changed"), (layer.renamed, "renamed"),
            (layer.added, "added"), (layer.removed, "removed"),
        )
        if paths
    ]  # fmt: skip
    return ", ".join(counts) or "no changes"


def _print_paths(layer: LayerComparison) -> None:
    lines = [f"  ~ {path}" for path in layer.changed]
    lines += [f"  > {path}  from {old}" for path, old in layer.renamed.items()]
    lines += [f"  + {path}" for path in layer.added]
    lines += [f"  - {path}" for path in layer.removed]
    for line in lines[:_MOST_PATHS]:
        print(line)
    if len(lines) > _MOST_PATHS:
        print(f"  … and {len(lines) - _MOST_PATHS} more")
