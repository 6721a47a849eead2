"""A picture as SVG: boxes with their columns, wires with a crow's foot at the many.

It is shown inside an `<img>` too, on light and on dark pages: it has a background of its own and refers to
nothing outside itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from faberdb.diagram.change import only, seen_at_once
from faberdb.diagram.layout import Layout, lay_out
from faberdb.diagram.parts import Mark, Picture, Reference
from faberdb.diagram.rows import HEAD, ROW, TAG, Row, Sheet, sheet_of
from faberdb.diagram.stations import Box, Wire

_EDGE: Final = 24.0  # around everything
_TOP: Final = 56.0  # the heading's
_LINE: Final = 18.0
_ROUND: Final = 5.0
_BESIDE: Final = 8  # lines about what no table carries
_GLANCE: Final = 16  # tables that can still be read at a page's width
_ARTIFACT: Final = 44_000  # characters of SVG, under 60 kB as a data: address
_SIGN: Final = {Mark.ADDED: "+", Mark.REMOVED: "\u2212", Mark.CHANGED: "~", Mark.SAME: ""}
_STRONG: Final = {
    Mark.ADDED: "#1a7f4b",
    Mark.REMOVED: "#c0362c",
    Mark.CHANGED: "#b26a00",
    Mark.SAME: "#3d4b66",
}
_PALE: Final = {Mark.ADDED: "#d6f2e1", Mark.REMOVED: "#fadcd9", Mark.CHANGED: "#fdebc8", Mark.SAME: "#fff"}
_QUIET: Final = "#8b97ad"
# Of the wires to one table; apart from the colours that say what changed.
_TONES: Final = ("#4f6db0", "#8a5fa8", "#2f8a96", "#a0627c", "#5b6b82", "#7a6bc4", "#3f7fb5", "#8d7258")
_STYLE: Final = (
    "text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2937}"
    ".h{font-weight:600;font-size:12px;fill:#fff}.d{fill:#7b8698;text-anchor:end}.k{fill:#8a94a6;font-size:9px}"
    ".m{fill:#7b8698}.a{fill:#11613a}.r{fill:#9b241b}.c{fill:#7d4a00}.x{text-decoration:line-through}"
    ".t{font:600 15px system-ui,sans-serif}.s{font:12px system-ui,sans-serif;fill:#4b5563}"
    ".w{fill:none;stroke-width:1.4}.b{fill:#fff;stroke-width:1.2}"
)
_CLASS: Final = {Mark.ADDED: "a", Mark.REMOVED: "r", Mark.CHANGED: "c", Mark.SAME: ""}


def diagram_svg(picture: Picture, *, title: str, columns: int | None = None, shape: float = 1.5) -> str:
    """Draw a picture.

    Args:
        picture: what is in it.
        title: said above it.
        columns: at most so many in a box; by default fewer the more tables there are. Keys in use and changes
            are always shown.
        shape: width by height to aim at.
    """
    limit = columns if columns is not None else _limit(len(picture.tables))
    sheets = {t.name: sheet_of(t, picture, limit) for t in picture.tables}
    wires = [_wire(r, sheets) for r in picture.references]
    boxes = [Box(name=n, width=s.width, height=s.height) for n, s in sheets.items()]
    layout = lay_out(boxes, wires, shape=shape)
    return "".join(_drawn(picture, title, sheets, layout))


def change_svg(picture: Picture, *, title: str) -> str:
    """The picture of a change for a page, "" where nothing that a picture shows changed, or it is too large."""
    if not picture.marked:
        return ""
    near, changed = seen_at_once(picture), only(picture, {t.name for t in picture.tables if t.mark})
    for part, columns in ((near, 12), (near, 3), (changed, 12), (changed, 0)):
        if part is near and len(near.tables) > max(_GLANCE, len(changed.tables)):
            continue
        svg = diagram_svg(part, title=title, columns=columns, shape=0.8)  # pages are narrow
        if len(svg.encode()) <= _ARTIFACT:
            return svg
    return ""


def svg_image(svg: str, words: str) -> str:
    """The picture as Markdown that carries it along."""
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _limit(tables: int) -> int:
    return 24 if tables <= 12 else 14 if tables <= 40 else 8


def _wire(reference: Reference, sheets: Mapping[str, Sheet]) -> Wire:
    parent, child = sheets[reference.parent], sheets[reference.child]
    return Wire(
        tail=reference.parent,
        tail_y=parent.port(reference.parent_columns[0] if reference.parent_columns else ""),
        head=reference.child,
        head_y=child.port(reference.columns[0]),
    )


def _drawn(picture: Picture, title: str, sheets: Mapping[str, Sheet], layout: Layout) -> Iterator[str]:
    beside = _beside(picture)
    facts = _facts(picture)
    heading = max(len(title) * 9.2, len(facts) * 6.8 + (330 if picture.compared else 0))
    width = max(layout.width, heading) + 2 * _EDGE
    height = _TOP + layout.height + _EDGE + len(beside) * _LINE + (10 if beside else 0)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}"><style>{_STYLE}</style>'
        f'<rect x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8" fill="#fbfcfe"'
        ' stroke="#cfd6e2"/>'
    )
    yield from _heading(picture, title, facts, width)
    yield f'<g transform="translate({_EDGE:g} {_TOP:g})">'
    lines = zip(picture.references, layout.ways, strict=True)
    tones = {name: _TONES[n % len(_TONES)] for n, name in enumerate(sheets)}
    for reference, way in sorted(lines, key=lambda pair: bool(pair[0].mark)):
        yield from _line(reference, way, _colour(reference, picture, tones))
    for name, sheet in sheets.items():
        yield from _box(sheet, *layout.corners[name], layout.widths[name], picture.compared)
    yield "</g>"
    for n, (mark, words) in enumerate(beside):
        y = _TOP + layout.height + 26 + n * _LINE
        yield f'<text x="{_EDGE:g}" y="{y:.0f}" class="{_CLASS[mark] or "m"}">{_text(words)}</text>'
    yield "</svg>"


def _facts(picture: Picture) -> str:
    tables, wires = len(picture.tables), len(picture.references)
    facts = f"{tables} table{'s' * (tables != 1)}, {wires} foreign key{'s' * (wires != 1)}"
    return facts + (f"; {picture.left_out} not drawn" if picture.left_out else "") + "; ? may be null"


def _heading(picture: Picture, title: str, facts: str, width: float) -> Iterator[str]:
    yield f'<text x="{_EDGE:g}" y="26" class="t">{_text(title)}</text>'
    yield f'<text x="{_EDGE:g}" y="45" class="s">{facts}</text>'
    if picture.compared:
        for n, mark in enumerate((Mark.CHANGED, Mark.REMOVED, Mark.ADDED)):
            x = width - _EDGE - (n + 1) * 100 + 12
            yield f'<rect x="{x:.0f}" y="35" width="12" height="12" rx="2" fill="{_STRONG[mark]}"/>'
            yield f'<text x="{x + 17:.0f}" y="45" class="s">{_SIGN[mark]} {mark.value}</text>'


def _beside(picture: Picture) -> list[tuple[Mark, str]]:
    """What changed and is no part of any table."""
    found = [(m, f"{_SIGN[m]} {m.value} {words}") for m, words in picture.beside[:_BESIDE]]
    more = len(picture.beside) - len(found)
    return [*found, (Mark.SAME, f"… {more} more beside the tables")] if more > 0 else found


def _colour(reference: Reference, picture: Picture, tones: Mapping[str, str]) -> str:
    if reference.mark:
        return _STRONG[reference.mark]
    return _QUIET if picture.compared else tones[reference.parent]


def _box(sheet: Sheet, x: float, y: float, width: float, compared: bool) -> Iterator[str]:
    mark = sheet.table.mark
    strong = _STRONG[mark] if mark or not compared else _QUIET
    dash = ' stroke-dasharray="5 3"' if mark is Mark.REMOVED else ""
    sign = f"{_SIGN[mark]} " if mark else ""
    fill = _PALE[mark] if mark in {Mark.ADDED, Mark.REMOVED} else "#fff"
    yield f'<g transform="translate({_n(x)} {_n(y)})">'
    yield (
        f'<rect width="{_n(width)}" height="{_n(sheet.height)}" rx="5" fill="{fill}" stroke="{strong}"{dash}/>'
        f'<path d="M0 {HEAD:g}V5q0-5 5-5h{_n(width - 10)}q5 0 5 5v{HEAD - 5:g}z" fill="{strong}"/>'
        f'<text x="9" y="17.5" class="h">{_text(sign + sheet.title)}</text>'
    )
    for n, row in enumerate(sheet.rows):
        yield from _row(row, HEAD + 2 + n * ROW, width, mark)
    yield "</g>"


def _row(row: Row, top: float, width: float, table: Mark) -> Iterator[str]:
    base = _n(top + 13)
    if row.mark:
        yield f'<rect x="1" y="{_n(top)}" width="{_n(width - 2)}" height="{ROW:g}" fill="{_PALE[row.mark]}"/>'
    tag = f"{_SIGN[row.mark]}{row.tag}"
    if tag:
        kind = f"k {_CLASS[row.mark]}".strip()
        yield f'<text x="7" y="{base}" class="{kind}">{tag}</text>'
    struck = " x" if row.mark is Mark.REMOVED else ""
    colour = _CLASS[row.mark] + struck or ("" if row.column else "m")
    colour = f' class="{colour}"' if colour else ""
    yield f'<text x="{TAG:g}" y="{base}"{colour}>{_text(row.text)}</text>'
    if row.detail:
        yield f'<text x="{_n(width - 8)}" y="{base}" class="d{struck}">{_text(row.detail)}</text>'


def _line(reference: Reference, way: Sequence[tuple[float, float]], colour: str) -> Iterator[str]:
    """The wire, a bar at the one and a crow's foot at the many."""
    dash = ' stroke-dasharray="5 3"' if reference.mark is Mark.REMOVED else ""
    wide = ' stroke-width="2.2"' if reference.mark else ""
    yield f'<path class="w" d="{_path(way)}" stroke="{colour}"{dash}{wide}/>'
    (x, y), (towards, _) = way[0], way[1]
    out = 1 if towards > x else -1
    marks = f"M{_n(x + out * 7)} {_n(y - 4)}v8"
    (x, y), (towards, _) = way[-1], way[-2]
    out = 1 if towards > x else -1
    if reference.single:
        marks += f"M{_n(x + out * 7)} {_n(y - 4)}v8"
    else:
        marks += f"M{_n(x)} {_n(y - 4)}l{out * 8} 4l{-out * 8} 4"
    yield f'<path class="w" d="{marks}" stroke="{colour}"/>'


def _path(way: Sequence[tuple[float, float]]) -> str:
    """Level and upright pieces with round corners."""
    points = _bends(way)
    text = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards((x, y), before), _towards((x, y), after)
        text += f"L{_n(near[0])} {_n(near[1])}Q{_n(x)} {_n(y)} {_n(far[0])} {_n(far[1])}"
    return text + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _bends(way: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without the points at which the way goes straight on."""
    found = [way[0]]
    for point, after in pairwise(way[1:]):
        level = abs(found[-1][1] - point[1]) < 0.05 and abs(point[1] - after[1]) < 0.05
        if point != found[-1] and not level:
            found.append(point)
    return [*found, way[-1]]


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    (x, y), (a, b) = corner, other
    distance = max(abs(a - x), abs(b - y))
    part = min(_ROUND, distance / 2) / distance if distance else 0.0
    return x + (a - x) * part, y + (b - y) * part


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(words: str) -> str:
    """Escaped, without the characters that XML has no way to write."""
    return escape("".join(c if c >= " " and c not in "\ufffe\uffff" else " " for c in words))
