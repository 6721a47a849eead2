"""Pieces of Markdown that no text put into them can break."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_PLAIN: Final = str.maketrans({"*": "\\*", "<": "&lt;"})


def one_line(text: str, limit: int | None = None) -> str:
    """White space as single blanks; cut to at most `limit` characters, with an ellipsis."""
    flat = " ".join(text.split())
    return flat if limit is None or len(flat) <= limit else flat[: limit - 1] + "…"


def plain(text: str) -> str:
    """Text of others, in one line, in which asterisks and tags are only characters."""
    return one_line(text).translate(_PLAIN)


def code(text: str | None, limit: int | None = None) -> str:
    """A code span in one line; "" for nothing. A backtick, which would end it, becomes an apostrophe."""
    return f"`{one_line(text, limit).replace('`', chr(39))}`" if text else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells may hold Markdown; "" without rows."""
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    if not cells:
        return ""
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *cells])
