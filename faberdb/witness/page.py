"""What a rehearsal's witness saw, as people read it: a list of statements and a time line of locks.

The time line is text in a code block: it looks the same in a terminal, in Prefect's UI and in a file. It keeps to
ASCII, for a browser takes block characters from another font, of another width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from faberdb.lock_modes import LOCK_MODES
from faberdb.markdown import code, one_line
from faberdb.plan import OPAQUE
from faberdb.witness.seen import LockSpan, Witnessed, longest_exclusive, rewritten

_WIDE: Final = 48  # characters of a time line: what fits beside the facts of an artifact
_LINES: Final = 24  # of locks; those that were held longest are shown
_STATEMENTS: Final = 60
_DIFFERING: Final = 10
_SHOWN: Final = 70  # characters of a statement
_NAME: Final = 32
_READERS: Final = LOCK_MODES.index("ACCESS EXCLUSIVE")
_WRITERS: Final = LOCK_MODES.index("SHARE")
_WEAK: Final = LOCK_MODES.index("ROW SHARE")


def witness_page(seen: Sequence[Witnessed], means: str, *, scan_rows: int, heading: str = "##") -> list[str]:
    """The blocks of a page; none where nothing was watched.

    Args:
        seen: the statements in order.
        means: how they were watched.
        scan_rows: reading so many rows is worth telling.
        heading: what its headings begin with.
    """
    if not seen:
        return []
    differing = disagreements(seen)
    return [
        f"{heading} What the copy's own server saw",
        f"Watched by {means}.",
        _statements(seen, scan_rows),
        _more(seen),
        *([f"{heading} Not as the plan says", _listed(differing)] if differing else []),
        *_time_line(seen, heading),
    ]


def _listed(differing: Sequence[str]) -> str:
    more = len(differing) - _DIFFERING
    lines = [*differing[:_DIFFERING], *([f"… and {more} more"] if more > 0 else [])]
    return "\n".join(f"- {line}" for line in lines)


def in_brief(seen: Sequence[Witnessed], *, scan_rows: int) -> list[str]:
    """What an approver has to know, in a few words each; none where nothing was seen."""
    said = []
    exclusive = [f"`{name}` {_s(s)}" for name, s in longest_exclusive(seen).items()]
    if exclusive:
        said.append(f"kept even readers out of {_few(exclusive)}")
    rewrites = [f"`{name}` ({why})" for name, why in rewritten(seen).items()]
    if rewrites:
        said.append(f"wrote {_few(rewrites)} anew")
    scans = [
        f"`{s.relation}` ({s.rows:,} rows or more)" for w in seen for s in w.scans if s.rows >= scan_rows
    ]
    if scans:
        said.append(f"read from end to end: {_few(list(dict.fromkeys(scans)))}")
    number = sum(s.disagrees and LOCK_MODES.index(s.saw) > LOCK_MODES.index(s.claimed) for s in seen)
    if number:
        said.append(f"**{number} {'lock' if number == 1 else 'locks'} stronger than the plan says**")
    return said


def disagreements(seen: Iterable[Witnessed]) -> list[str]:
    """Where a statement took another lock than the plan claims, stronger ones first."""
    return [
        f"{code(s.text, _SHOWN)} of {s.revision}: {_claim(s)}, and it took"
        f" {'**' + s.saw + '**' if s.saw else 'none'}"
        for s in sorted(seen, key=lambda s: LOCK_MODES.index(s.claimed) - LOCK_MODES.index(s.saw))
        if s.disagrees
    ]


def _claim(seen: Witnessed) -> str:
    if not seen.claimed and seen.text.upper().startswith(OPAQUE):
        return "the plan cannot know"
    return f"the plan says {seen.claimed or 'no lock'} on what exists"


def _statements(seen: Sequence[Witnessed], scan_rows: int) -> str:
    """A list, for Prefect's first UI cuts a table's long cells instead of breaking their lines."""
    return "\n".join(f"- {_statement(s, scan_rows)}" for s in seen[:_STATEMENTS])


def _statement(seen: Witnessed, scan_rows: int) -> str:
    locks = "; ".join(_locks(seen)) or ("too quick to be seen" if seen.glimpsed else "no further ones")
    touched = "; ".join(_touched(seen, scan_rows))
    took = ("" if seen.exact else "about ") + _s(seen.took_s)
    return f"{code(seen.text, _SHOWN)} took {took}. Locks: {locks}." + (f" It {touched}." if touched else "")


def _more(seen: Sequence[Witnessed]) -> str:
    return f"… and {len(seen) - _STATEMENTS} more statements." if len(seen) > _STATEMENTS else ""


def _locks(statement: Witnessed) -> Iterable[str]:
    for lock in _strongest(statement):
        yield f"{lock.mode} on `{lock.relation}`, held {'about ' if lock.sampled else ''}{_s(lock.held_s)}"


def _strongest(statement: Witnessed) -> Iterable[LockSpan]:
    """One on each relation: the others say nothing more."""
    strongest: dict[str, LockSpan] = {}
    for lock in statement.locks:
        if lock.relation not in strongest or _rank(lock) > _rank(strongest[lock.relation]):
            strongest[lock.relation] = lock
    return strongest.values()


def _touched(statement: Witnessed, scan_rows: int) -> Iterable[str]:
    if statement.failed:
        yield "**failed**"
    if statement.transactions > 1:
        yield "needs more than one transaction"
    for rewrite in statement.rewrites:
        yield f"**rewrites** `{rewrite.relation}`: {rewrite.reason}"
    for scan in statement.scans:
        if scan.rows >= scan_rows:
            yield f"reads at least {scan.rows:,} rows of `{scan.relation}`"
    if statement.rows is not None:
        yield f"writes {statement.rows:,} rows"


def _time_line(seen: Sequence[Witnessed], heading: str) -> list[str]:
    spans = [lock for s in seen for lock in _strongest(s) if _rank(lock) > _WEAK]
    if not spans:
        return []
    begin = min(s.begin_s for s in seen)
    end = max(*(lock.begin_s + lock.held_s for lock in spans), *(s.begin_s + s.took_s for s in seen))
    rows: dict[tuple[str, str], list[LockSpan]] = {}
    for lock in spans:
        rows.setdefault((lock.relation, lock.mode), []).append(lock)
    shown = sorted(rows, key=lambda key: -sum(lock.held_s for lock in rows[key]))[:_LINES]
    shown.sort(key=lambda key: min(lock.begin_s for lock in rows[key]))
    lines = [
        f"{one_line(key[0], _NAME)}, {key[1]}, {_s(max(lock.held_s for lock in rows[key]))}"
        f"\n{_bar(rows[key], begin, end)}"
        for key in shown
    ]
    scale = f"0{_s(end - begin):>{_WIDE - 1}}"
    left = [f"… and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    return [
        f"{heading} Locks over time",
        "\n".join(["```text", *lines, *left, scale, "```"]),
        "`#` keeps readers and writers out, `=` keeps writers out, `-` lets both go on.",
    ]


def _bar(spans: Iterable[LockSpan], begin: float, end: float) -> str:
    cells = ["."] * _WIDE
    per_cell = (end - begin) / _WIDE or 1.0
    for span in spans:
        first = min(_WIDE - 1, int((span.begin_s - begin) / per_cell))
        last = min(_WIDE - 1, int((span.begin_s + span.held_s - begin) / per_cell))
        for cell in range(first, last + 1):
            cells[cell] = "#" if _rank(span) >= _READERS else "=" if _blocks_writers(span) else "-"
    return "".join(cells)


def _blocks_writers(span: LockSpan) -> bool:
    return _rank(span) >= _WRITERS


def _rank(span: LockSpan) -> int:
    return LOCK_MODES.index(span.mode)


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def _s(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
