"""Where every box stands and every wire runs. Boxes never overlap, and no wire crosses a box.

Geometry only: it knows neither tables nor SVG. Wires that leave the same port share their way, so that a
table to which fifty others refer has one line that branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from faberdb.diagram.layers import acyclic, components, layered
from faberdb.diagram.stations import BETWEEN, Box, Chain, Node, Wire, order, straighten, with_lanes
from faberdb.diagram.wiring import MARGIN, Bundle, bundles_of, tracks, way_of


class Layout(Struct, frozen=True, kw_only=True):
    """Upper left corners by box, and one way for each wire, in the wires' order."""

    width: float
    height: float
    corners: Mapping[str, tuple[float, float]]
    widths: Mapping[str, float]
    ways: tuple[tuple[tuple[float, float], ...], ...]  # from tail to head, only upright and level pieces


@dataclass(slots=True)
class _Part:
    """One component, laid out by itself."""

    width: float
    height: float
    corners: dict[str, tuple[float, float]]
    widths: dict[str, float]
    ways: dict[int, list[tuple[float, float]]]


def lay_out(boxes: Sequence[Box], wires: Sequence[Wire], *, shape: float = 1.4) -> Layout:
    """Place everything.

    Args:
        boxes: with names that differ.
        wires: between boxes that are there.
        shape: width by height to aim at.
    """
    names = [b.name for b in boxes]
    by_name = {b.name: b for b in boxes}
    parts = []
    for group in components(names, ((w.tail, w.head) for w in wires)):
        inside = set(group)
        mine = [(n, w) for n, w in enumerate(wires) if w.tail in inside]
        parts.append(_part([by_name[n] for n in group], mine, shape))
    return _packed(parts, len(wires), shape)


def _packed(parts: Sequence[_Part], wires: int, shape: float) -> Layout:
    """Components on shelves, the tallest first."""
    order = sorted(range(len(parts)), key=lambda n: (-parts[n].height, n))
    area = sum((p.width + BETWEEN) * (p.height + BETWEEN) for p in parts)
    room = max([(area * shape) ** 0.5, *(p.width for p in parts)])
    x = y = shelf = width = 0.0
    corners: dict[str, tuple[float, float]] = {}
    widths: dict[str, float] = {}
    ways: list[tuple[tuple[float, float], ...]] = [()] * wires
    for n in order:
        part = parts[n]
        if x and x + part.width > room:
            x, y, shelf = 0.0, y + shelf + BETWEEN, 0.0
        corners |= {name: (x + a, y + b) for name, (a, b) in part.corners.items()}
        widths |= part.widths
        for wire, way in part.ways.items():
            ways[wire] = tuple((x + a, y + b) for a, b in way)
        width, shelf = max(width, x + part.width), max(shelf, part.height)
        x += part.width + BETWEEN
    return Layout(width=width, height=y + shelf, corners=corners, widths=widths, ways=tuple(ways))


def _part(boxes: Sequence[Box], wires: Sequence[tuple[int, Wire]], shape: float) -> _Part:
    names = [b.name for b in boxes]
    between = [(n, w) for n, w in wires if w.tail != w.head]
    place = acyclic(names, [(w.tail, w.head) for _, w in between])
    turned = {n for n, w in between if place[w.tail] > place[w.head]}
    forward = [(n, _turn(w) if n in turned else w) for n, w in between]
    sizes = {b.name: (b.width, b.height + BETWEEN) for b in boxes}
    pairs = sorted({(w.tail, w.head) for _, w in forward}, key=lambda p: (place[p[0]], place[p[1]]))
    layers = layered(sorted(names, key=place.__getitem__), pairs, sizes, shape=shape)
    by_name = {b.name: b for b in boxes}
    nodes, chains = with_lanes([[by_name[n] for n in layer] for layer in layers], forward)
    order(nodes)
    straighten(nodes)
    return _traced(nodes, chains, wires, turned)


def _turn(wire: Wire) -> Wire:
    return Wire(tail=wire.head, tail_y=wire.head_y, head=wire.tail, head_y=wire.tail_y)


def _traced(
    nodes: Sequence[Sequence[Node]],
    chains: Mapping[int, Chain],
    wires: Sequence[tuple[int, Wire]],
    turned: set[int],
) -> _Part:
    top = min(n.y for layer in nodes for n in layer)
    for layer in nodes:
        for node in layer:
            node.y -= top
    corners: dict[str, tuple[float, float]] = {}
    widths: dict[str, float] = {}
    edges: list[tuple[float, float]] = []  # left and right of each layer
    spaces: list[dict[tuple[str, float], Bundle]] = []
    x = 0.0
    for layer in nodes:
        width = max((n.box.width for n in layer if n.box), default=0.0)
        edges.append((x, x + width))
        corners |= {n.key: (x, n.y) for n in layer if n.box}
        widths |= {n.key: width for n in layer if n.box}
        bundles = bundles_of(layer)
        spaces.append(bundles)
        loops = any(w.tail == w.head and w.tail in widths for _, w in wires)
        wide = tracks(list(bundles.values()), x + width) if bundles else (MARGIN if loops else 0.0)
        x += width + wide
    ways: dict[int, list[tuple[float, float]]] = {}
    depth = {node.key: k for k, layer in enumerate(nodes) for node in layer}
    for n, chain in chains.items():
        way = way_of(chain, edges, spaces, depth)
        ways[n] = way[::-1] if n in turned else way
    for n, wire in wires:
        if wire.tail == wire.head:
            left, upper = corners[wire.tail]
            right = left + widths[wire.tail]
            a, b = upper + wire.tail_y, upper + wire.head_y
            ways[n] = [(right, a), (right + MARGIN / 2, a), (right + MARGIN / 2, b), (right, b)]
    height = max(n.y + n.height for layer in nodes for n in layer)
    return _Part(width=x, height=height, corners=corners, widths=widths, ways=ways)
