"""From moments to places on a line: long idle times become breaks of a fixed width. Knows no release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

_BREAK_WIDTH: Final = 64.0
_BREAKS_AT_MOST: Final = 0.4  # of the width, together
_IDLE_AT_LEAST: Final = timedelta(seconds=1)
_IDLE_SHARE: Final = 0.25  # of the busy time: a shorter gap is drawn as it was

Span = tuple[datetime, datetime]


class Piece(Struct, frozen=True, kw_only=True):
    """A stretch of time and its place."""

    start: datetime
    end: datetime
    left: float
    right: float
    idle: bool  # squeezed


class Scale(Struct, frozen=True):
    """Pieces without gaps between them."""

    pieces: tuple[Piece, ...]

    def x(self, at: datetime) -> float:
        """Where a moment is; one outside lands on the nearest end."""
        for piece in self.pieces:
            if at <= piece.end:
                length = (piece.end - piece.start).total_seconds()
                share = (at - piece.start).total_seconds() / length if length else 0.0
                return piece.left + max(0.0, share) * (piece.right - piece.left)
        return self.pieces[-1].right

    @property
    def breaks(self) -> tuple[Piece, ...]:
        """The pieces that are not drawn to scale; none when there is nothing to compare them with."""
        return tuple(p for p in self.pieces if p.idle) if len(self.pieces) > 1 else ()


def make_scale(busy: Sequence[Span], start: datetime, end: datetime, *, left: float, width: float) -> Scale:
    """Lay out the time from start to end so that what was done has the room.

    Args:
        busy: when something was done, in any order.
        start: the left end's moment.
        end: the right end's moment.
        left: the left end's place.
        width: of the whole line.
    """
    cuts = _cut(_merged(busy), start, end)
    idle = sum(1 for _, _, squeezed in cuts if squeezed)
    worked = sum((b - a).total_seconds() for a, b, squeezed in cuts if not squeezed)
    each = min(_BREAK_WIDTH, width * _BREAKS_AT_MOST / idle) if idle else 0.0
    if not worked:
        each = width / max(1, idle)
    room = width - idle * each
    pieces, at = [], left
    for a, b, squeezed in cuts:
        wide = each if squeezed else room * ((b - a).total_seconds() / worked if worked else 1.0)
        pieces.append(Piece(start=a, end=b, left=at, right=at + wide, idle=squeezed))
        at += wide
    return Scale(tuple(pieces))


def in_words(span: timedelta) -> str:
    """A duration in at most two units."""
    seconds = span.total_seconds()
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{whole} s"


def _merged(busy: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for a, b in sorted(busy):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], b))
        else:
            merged.append((a, b))
    return merged


def _cut(busy: list[Span], start: datetime, end: datetime) -> list[tuple[datetime, datetime, bool]]:
    """Alternate what is drawn to scale and what is squeezed."""
    worked = sum((b - a).total_seconds() for a, b in busy)
    bound = max(_IDLE_AT_LEAST, timedelta(seconds=worked * _IDLE_SHARE))
    cuts: list[tuple[datetime, datetime, bool]] = []
    since, at = start, start
    for a, b in [*busy, (end, end)]:
        if a - at > bound:
            if at > since:
                cuts.append((since, at, False))
            cuts.append((at, a, True))
            since = a
        at = max(at, b)
    if at > since or not cuts:
        cuts.append((since, at, False))
    return cuts
