"""A release as a picture: when people were asked, how long each step took, and what was undone.

Pure: ledger entries in, the text of an SVG out. It is shown inside an `<img>`, on light and on dark pages:
it has a background of its own and refers to nothing outside itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from faberdb.ledger import Entry, Kind
from faberdb.progress import revision_noted
from faberdb.release.approval import Decision
from faberdb.release.record import Outcome, Release
from faberdb.timescale import Scale, in_words, make_scale

_WIDTH: Final = 760
_LEFT, _RIGHT = 168.0, 628.0  # of the plot
_TOP, _ROW, _BAR = 92, 24, 12
_REVISIONS, _BARS = 6, 8  # drawn at most: of a release, and of a step that was tried again


class Tone(StrEnum):
    """What a bar stands for; its value is its colour."""

    WAIT = "#c3c9d6"
    STEP = "#3b6fd4"
    REVISION = "#8fb0f0"
    UNDO = "#e08a1e"
    FAILED = "#cf3f36"


_OUTCOME: Final = {
    Outcome.RELEASED: "#1f8a55",
    Outcome.ROLLED_BACK: "#b86a0c",
    Outcome.ABORTED: "#b86a0c",
    Outcome.SUPERSEDED: "#6b7280",
}
_MARK: Final = {
    Outcome.RELEASED: "M-4 0l3 3 5-6",
    Outcome.ROLLED_BACK: "M-1-4l-3 3 3 3M-4-1h5a2.5 2.5 0 0 1 0 5h-2",
    Outcome.ABORTED: "M-1-4l-3 3 3 3M-4-1h5a2.5 2.5 0 0 1 0 5h-2",
}
_UNTIMED: Final = re.compile(r"^\d{8,}_(?=.)")  # Prisma's time stamp: the words say more in the same room
_CROSS: Final = "M-3-3l6 6M3-3l-6 6"


@dataclass(slots=True, kw_only=True)
class _Bar:
    start: datetime
    end: datetime
    tone: Tone
    cut: bool = False  # the process died, or it still runs


@dataclass(slots=True, kw_only=True)
class _Row:
    label: str
    tone: Tone
    indent: int = 0
    bars: list[_Bar] = field(default_factory=list)

    @property
    def length(self) -> str:
        return in_words(sum((b.end - b.start for b in self.bars), timedelta()))


def timeline_svg(release: Release, entries: Sequence[Entry]) -> str:
    """Draw one release.

    Args:
        release: folded from the ledger.
        entries: everything that is filed under it, in order of `seq`.
    """
    start, end = release.opened_at, max((e.at for e in entries), default=release.opened_at)
    rows = list(_rows(entries))
    busy = [(b.start, b.end) for r in rows if r.tone is not Tone.WAIT for b in r.bars]
    scale = make_scale(busy, start, end, left=_LEFT, width=_RIGHT - _LEFT)
    floor = _TOP + max(1, len(rows)) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{floor + 46}"'
        f' viewBox="0 0 {_WIDTH} {floor + 46}" font-family="system-ui,sans-serif" font-size="12"'
        ' fill="#1f2937">',
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{floor + 45}" rx="8" fill="#fbfcfe"'
        ' stroke="#cfd6e2"/>',
        *_head(release, start, end),
        *_axis(scale, floor),
        *(part for n, row in enumerate(rows) for part in _drawn(row, _TOP + n * _ROW, scale)),
        *_votes(entries, rows, scale),
        "</svg>",
    ]
    return "".join(parts)


def timeline_image(svg: str) -> str:
    """The picture as Markdown that carries it along."""
    return f"![time line](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _rows(entries: Sequence[Entry]) -> Iterator[_Row]:
    """Waiting, then the steps in the order in which they began, then those of the undo."""
    rows: dict[tuple[str, bool], _Row] = {}
    running: dict[str, _Bar] = {}
    undoing = False
    for entry in entries:
        step = entry.body.get("step", "")
        if entry.kind is Kind.APPROVAL_ASKED:
            again = entry.release.endswith("/rollback")
            label = "approval of the undo" if again else "approval"
            row = rows.setdefault((label, again), _Row(label=label, tone=Tone.WAIT))
            row.bars.append(_Bar(start=entry.at, end=_answered(entry, entries), tone=Tone.WAIT))
        elif entry.kind is Kind.ROLLBACK_OPENED:
            undoing = True
        elif entry.kind is Kind.STEP_INTENDED:
            tone = Tone.UNDO if undoing else Tone.STEP
            running[step] = _Bar(start=entry.at, end=entry.at, tone=tone, cut=True)
            rows.setdefault((step, undoing), _Row(label=step, tone=tone)).bars.append(running[step])
        elif step in running:
            running[step].end = entry.at
            running[step].cut = entry.kind is Kind.STEP_NOTED
            if entry.kind is Kind.STEP_FAILED:
                running[step].tone = Tone.FAILED
    for (step, _), row in rows.items():
        row.bars = row.bars[-_BARS:]
        yield row
        if step == "apply":
            yield from _revisions(entries, row.bars[-1])


def _answered(asked: Entry, entries: Sequence[Entry]) -> datetime:
    """When the waiting ended: with the last vote, else when something else came, else now."""
    later = [e for e in entries if e.seq > asked.seq]
    votes = [e.at for e in later if e.kind is Kind.VOTE_CAST and e.release == asked.release]
    if votes:
        return votes[-1]
    ends = [e.at for e in later if e.kind in {Kind.STEP_INTENDED, Kind.RELEASE_CLOSED}]
    return ends[0] if ends else entries[-1].at


def _revisions(entries: Sequence[Entry], apply: _Bar) -> Iterator[_Row]:
    """One row each, as far as the ledger has a note of where they begin and end; it thins out quick ones."""
    noted = [
        (e.at, found)
        for e in entries
        if e.kind is Kind.STEP_NOTED
        and e.at >= apply.start
        and e.body["step"] == "apply"
        and (found := revision_noted(e.body["note"]))
    ]
    begun: dict[str, datetime] = {}
    ended: dict[str, datetime] = {}
    current = ""
    for at, (revision, done) in noted:
        if current and current != revision:
            ended.setdefault(current, at)
        begun.setdefault(revision, at)
        if done:
            ended[revision] = at
        current = "" if done else revision
    if current:
        ended.setdefault(current, apply.end)
    spans = [(r, begun[r], ended[r]) for r in begun if ended[r] > begun[r]]
    longest = sorted(spans, key=lambda s: s[1] - s[2])[:_REVISIONS]
    for revision, start, end in sorted(longest, key=lambda s: s[1]):
        bar = _Bar(start=start, end=end, tone=Tone.REVISION)
        yield _Row(label=_UNTIMED.sub("", revision), tone=Tone.REVISION, indent=10, bars=[bar])


def _head(release: Release, start: datetime, end: datetime) -> Iterator[str]:
    colour = _OUTCOME.get(release.outcome, "#b3261e") if release.outcome else "#3b6fd4"
    mark = _MARK.get(release.outcome, _CROSS) if release.outcome else "M-3 0h0M0 0h0M3 0h0"
    title = f"{release.environment}: {release.state}"
    yield f'<circle cx="28" cy="28" r="10" fill="{colour}"/>'
    yield (
        f'<path transform="translate(28 28)" d="{mark}" fill="none" stroke="#fff" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round"/>'
    )
    yield f'<text x="46" y="33" font-size="15" font-weight="600">{_text(title, 44)}</text>'
    yield f'<text x="744" y="33" text-anchor="end" fill="#4b5563">{_text(release.plan.change, 52)}</text>'
    facts = f"{_utc(start)} to {_utc(end)}, {in_words(end - start)}"
    yield f'<text x="18" y="58" fill="#4b5563">{_text(facts, 90)}</text>'
    yield (
        f'<text x="744" y="58" text-anchor="end" fill="#6b7280" font-size="11">{_text(release.id, 60)}</text>'
    )


def _axis(scale: Scale, floor: int) -> Iterator[str]:
    yield f'<path d="M{_LEFT:g} {floor}H{_RIGHT:g}" stroke="#9aa3b2"/>'
    last = -100.0
    for piece in scale.pieces:
        if piece.idle and piece in scale.breaks:
            wide = piece.right - piece.left
            yield f'<rect x="{piece.left:.1f}" y="74" width="{wide:.1f}" height="{floor - 74}" fill="#eef1f6"/>'
            middle = (piece.left + piece.right) / 2
            yield _label(middle, 86, in_words(piece.end - piece.start), "middle")
            yield (
                f'<path d="M{middle - 5:.1f} {floor + 5}l4-10M{middle + 1:.1f} {floor + 5}l4-10"'
                ' stroke="#6b7280" stroke-width="1.5"/>'
            )
        elif piece.left - last > 66 and piece.left < _RIGHT - 90:
            last = piece.left
            yield f'<path d="M{piece.left:.1f} {floor}v5" stroke="#9aa3b2"/>'
            yield _label(piece.left, floor + 18, f"{piece.start.astimezone(UTC):%H:%M:%S}", "start")
    end = scale.pieces[-1]
    yield f'<path d="M{_RIGHT:g} {floor}v5" stroke="#9aa3b2"/>'
    yield _label(_RIGHT, floor + 18, f"{end.end.astimezone(UTC):%H:%M:%S} UTC", "end")


def _drawn(row: _Row, top: int, scale: Scale) -> Iterator[str]:
    base = top + 16
    colour = ' fill="#6b7280"' if row.indent or row.tone is Tone.WAIT else ""
    yield f'<text x="{18 + row.indent}" y="{base}"{colour}>{_text(row.label, 22 - row.indent // 3)}</text>'
    for bar in row.bars:
        left, right = scale.x(bar.start), scale.x(bar.end)
        left = min(left, _RIGHT - 3)
        edge = f' fill-opacity=".35" stroke="{bar.tone}" stroke-dasharray="3 2"' if bar.cut else ""
        yield (
            f'<rect x="{left:.1f}" y="{top + 6}" width="{max(3.0, right - left):.1f}" height="{_BAR}" rx="2.5"'
            f' fill="{bar.tone}"{edge}/>'
        )
    failed = any(b.tone is Tone.FAILED for b in row.bars)
    weight = ' fill="#b3261e" font-weight="600"' if failed else ' fill="#374151"'
    cut = any(b.cut for b in row.bars)
    words = f"{'failed, ' if failed else 'cut short, ' if cut else ''}{row.length}"
    yield f'<text x="744" y="{base}" text-anchor="end"{weight}>{_text(words, 22)}</text>'


def _votes(entries: Sequence[Entry], rows: Sequence[_Row], scale: Scale) -> Iterator[str]:
    """A dot where somebody decided."""
    tops = {row.label: _TOP + n * _ROW for n, row in enumerate(rows) if row.tone is Tone.WAIT}
    for entry in entries:
        label = "approval of the undo" if entry.release.endswith("/rollback") else "approval"
        if entry.kind is Kind.VOTE_CAST and label in tops:
            colour = "#1f8a55" if entry.body["decision"] == Decision.APPROVE.value else "#cf3f36"
            yield (
                f'<circle cx="{scale.x(entry.at):.1f}" cy="{tops[label] + 12}" r="5" fill="{colour}"'
                ' stroke="#fff" stroke-width="1.5"/>'
            )


def _label(x: float, y: int, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="#6b7280" font-size="11">{_text(words, 30)}</text>'


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _text(words: str, limit: int) -> str:
    """Escaped and cut, without the characters that XML has no way to write."""
    clean = "".join(c if c >= " " and c not in "\ufffe\uffff" else " " for c in words)
    return escape(clean if len(clean) <= limit else clean[: limit - 1] + "…")
