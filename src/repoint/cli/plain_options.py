"""Parse the usual forms of a few options without the command-line library, whose import is slow."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


def parse_options(
    arguments: Sequence[str], valued: Mapping[str, str], switches: Collection[str] = ()
) -> tuple[dict[str, str], list[str]] | None:
    """Parse the options before the first argument that is none.

    Args:
        arguments: What follows the command's name.
        valued: The options that take a value, long and short, and the long name of each.
        switches: The options that take none.

    Returns:
        The value of each option that is given, by its long name, "" for a switch; and the other
        arguments. None if the library has to parse the command, for example to show its help or
        to explain wrong usage.
    """
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        name, _, value = option.partition("=")
        if option == "--":
            break
        if option in switches:
            options[option] = ""
        elif option in valued and rest and rest[0]:
            options[valued[option]] = rest.pop(0)
        elif name.startswith("--") and name in valued and value:
            options[valued[name]] = value
        else:
            return None
    return options, rest
