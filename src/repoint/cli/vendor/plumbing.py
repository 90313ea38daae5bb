"""``repoint delta`` and ``repoint seal``: patches and seals of any files, without a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import JsonOption, path
from repoint.cli.terminal import print

delta = command_group("Make and apply patches.")


def seal(
    path: Annotated[Path, typer.Argument(parser=path, help="A folder.")],
    ignore: Annotated[
        list[str] | None, typer.Option(help="Leave out paths that match this shell pattern.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the seal of a tree."""
    from repoint.cli.output import print_json
    from repoint.tree.digest import seal_of
    from repoint.tree.scan import ALWAYS_IGNORED, scan_tree

    entries = scan_tree(path.resolve(), ignore=(*ALWAYS_IGNORED, *(ignore or ())))
    if json:
        print_json({"seal": seal_of(entries), "entries": entries})
    else:
        print(seal_of(entries))


@delta.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(parser=path, help="The old file or folder.")],
    new: Annotated[Path, typer.Argument(parser=path, help="The new file or folder.")],
    patch: Annotated[Path, typer.Argument(parser=path, help="Where to write the patch.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace PATCH if it exists already.")
    ] = False,
) -> None:
    """Make the patch that turns OLD into NEW."""
    from repoint.cli.output import size
    from repoint.cli.progress import progress_bar
    from repoint.publisher.plain_patches import diff_paths

    with progress_bar({"diff": "diff"}) as report:
        sizes = diff_paths(
            old,
            new,
            patch,
            replace=force,
            progress=lambda done, total: report("diff", done, total),
        )
    print(f"{patch}: {size(sizes.patch_size)} for {size(sizes.new_size)}")


@delta.command("apply")
def apply(
    old: Annotated[Path, typer.Argument(parser=path, help="The old file or folder.")],
    patch: Annotated[Path, typer.Argument(parser=path, help="The patch.")],
    new: Annotated[
        Path, typer.Argument(parser=path, help="Where to write the new file or folder.")
    ],
) -> None:
    """Turn OLD into NEW. NEW is not created if the patch does not fit."""
    from repoint.publisher.plain_patches import apply_path

    apply_path(old, patch, new)


@delta.command("explain")
def explain(
    patch: Annotated[Path, typer.Argument(parser=path, help="A patch that you trust.")],
    old: Annotated[
        Path | None, typer.Option(parser=path, help="The old file or folder, to report by section.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what the bytes of a patch are for, by file, stream and section."""
    from repoint.cli.output import print_json
    from repoint.cli.vendor.patch_view import print_explained
    from repoint.delta.explain import explain as explain_patch
    from repoint.publisher.errors import OutputWriteError

    def old_file(source: str) -> Path | None:
        path = old if old is None or old.is_file() else old / source
        return path if path is not None and path.is_file() else None

    if not patch.is_file():
        raise OutputWriteError(f"There is no patch {patch}", hint="Name the file with the patch")
    files = explain_patch(patch, old_file)
    if json:
        print_json(files)
    else:
        print_explained(files)
