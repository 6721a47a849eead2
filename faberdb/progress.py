"""How long work says where it is: one short sentence at a time, to whoever listens."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


class Kept(str):
    """A note that the ledger keeps, however soon it follows another: who was in the way, what was ended."""

    __slots__ = ()


def silent(note: str) -> None:
    """Listen to nothing."""


def revision_noted(note: str) -> tuple[str, bool] | None:
    """The revision that a note of applying is about and whether it is done, or None for another note."""
    match note.split(" "):
        case ["applying" | "applied" as verb, revision]:
            return revision, verb == "applied"
    return None
