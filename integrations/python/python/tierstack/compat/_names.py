"""Scopes and keys, and the one text under which the store has a fragment."""

from __future__ import annotations

from typing import Final

ROOT: Final = ""
"""The scope of what is stored through the service itself."""


def prefix(scope: str) -> str:
    """What stands before a key of the scope in the store: the scope's length, a colon, the scope.

    No other scope and key give the same text: its digits end at the first colon, and then so many characters are the scope, whatever they are.
    """
    scope = plain(scope)
    return f"{len(scope)}:{scope}"


def plain(text: str) -> str:
    """The text itself, whatever methods a subclass of `str` has."""
    if not isinstance(text, str):
        raise TypeError(f"a str is wanted, not {type(text).__name__}")
    return text if type(text) is str else str.__str__(text)


def scope_and_key(text: str) -> tuple[str, str]:
    """What a text of the store was made of."""
    digits, _, rest = text.partition(":")
    return rest[: int(digits)], rest[int(digits) :]
