"""`-- faber-db: ignore CODE reason` in a script: what it silences, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from faberdb.errors import Refused
from faberdb.statements import Statement

_MARK: Final = re.compile(r"--\s*faber-db:\s*ignore\b[ \t]*(?P<code>\S*)[ \t]*(?P<reason>.*)", re.IGNORECASE)


class Ignore(Struct, frozen=True, kw_only=True):
    """One of them."""

    code: str
    reason: str
    line: int  # where it stands
    statement: int | None  # the line of the statement that it is for; None for the whole script

    def covers(self, code: str, line: int) -> bool:
        """Whether it silences a code at a statement."""
        return self.code == code and self.statement in {None, line}


def ignores_of(script: str, statements: Sequence[Statement], *, source: str) -> tuple[Ignore, ...]:
    """The ignores of a script. One stands directly before its statement, or, with an empty line after it, at
    the script's head for all of it.

    Raises:
        Refused: one has no reason, or belongs to nothing.
    """
    if "faber-db:" not in script.lower():
        return ()
    from faberdb.grammar.parser import comments  # noqa: PLC0415 -- the grammar costs 0.2 s to load

    lines = script.splitlines()
    found = []
    for text, line in comments(script):
        mark = _MARK.match(text)
        if mark is not None:
            _refuse_bare(mark, source, line)
            place = _place(lines, statements, line, source)
            found.append(Ignore(code=mark["code"], reason=mark["reason"].strip(), line=line, statement=place))
    return tuple(found)


def _refuse_bare(mark: re.Match[str], source: str, line: int) -> None:
    if not mark["reason"].strip():
        code = mark["code"] or "CODE"
        raise Refused(
            f"{source}, line {line}: an ignore gives no reason.",
            why="Who approves the plan reads the reason beside what is ignored.",
            next_step=f"write: -- faber-db: ignore {code} and why it does no harm here",
        )


def _place(lines: Sequence[str], statements: Sequence[Statement], line: int, source: str) -> int | None:
    following = next((s.line for s in statements if s.line > line), None)
    if following is not None and all(text.lstrip().startswith("--") for text in lines[line : following - 1]):
        return following
    if all(s.line > line for s in statements):
        return None
    raise Refused(
        f"{source}, line {line}: an ignore belongs to no statement.",
        why="It stands directly before the statement that it is for, or before all of them.",
        next_step="move it to the line before the statement",
    )
