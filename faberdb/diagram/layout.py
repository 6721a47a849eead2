"""Where every box stands and every wire runs. Boxes never overlap, and no wire crosses a box.

Geometry only: it knows neither tables nor SVG. Wires that leave the same port share their way, so that a
table to which fifty others refer has one line that branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from faberdb.diagram.layers import acyclic, components, layered

_BETWEEN: Final = 26.0  # boxes, and components
_LANE: Final = 14.0  # the height that a wire needs to pass a layer
_MARGIN: Final = 24.0  # from a box to the first track: room for the marks at a wire's ends
_TRACK: Final = 9.0
_SWEEPS: Final = 12
_SAME: Final = 1.0  # nearer wires look like one


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A thing to place."""

    name: str
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """From one box's port to another's. Two ports of a box at the same height are the same port."""

    tail: str
    tail_y: float  # from the box's top
    head: str
    head_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Upper left corners by box, and one way for each wire, in the wires' order."""

    width: float
    height: float
    corners: Mapping[str, tuple[float, float]]
    widths: Mapping[str, float]
    ways: tuple[tuple[tuple[float, float], ...], ...]  # from tail to head, only upright and level pieces


@dataclass(slots=True)
class _Node:
    """A box in its layer, or the lane of a bundle that passes it."""

    key: str
    height: float
    y: float = 0.0
    box: Box | None = None
    left: list[tuple[float, _Node, float]] = field(default_factory=list)  # own port, other, its port
    right: list[tuple[float, _Node, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Bundle:
    """The wires from one port through one space between two layers."""

    start: float
    ends: list[float] = field(default_factory=list)
    x: float = 0.0

    @property
    def low(self) -> float:
        return min(self.start, *self.ends)

    @property
    def high(self) -> float:
        return max(self.start, *self.ends)

    @property
    def level(self) -> bool:
        return self.high - self.low < _SAME


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
    area = sum((p.width + _BETWEEN) * (p.height + _BETWEEN) for p in parts)
    room = max([(area * shape) ** 0.5, *(p.width for p in parts)])
    x = y = shelf = width = 0.0
    corners: dict[str, tuple[float, float]] = {}
    widths: dict[str, float] = {}
    ways: list[tuple[tuple[float, float], ...]] = [()] * wires
    for n in order:
        part = parts[n]
        if x and x + part.width > room:
            x, y, shelf = 0.0, y + shelf + _BETWEEN, 0.0
        corners |= {name: (x + a, y + b) for name, (a, b) in part.corners.items()}
        widths |= part.widths
        for wire, way in part.ways.items():
            ways[wire] = tuple((x + a, y + b) for a, b in way)
        width, shelf = max(width, x + part.width), max(shelf, part.height)
        x += part.width + _BETWEEN
    return Layout(width=width, height=y + shelf, corners=corners, widths=widths, ways=tuple(ways))


def _part(boxes: Sequence[Box], wires: Sequence[tuple[int, Wire]], shape: float) -> _Part:
    names = [b.name for b in boxes]
    between = [(n, w) for n, w in wires if w.tail != w.head]
    place = acyclic(names, [(w.tail, w.head) for _, w in between])
    turned = {n for n, w in between if place[w.tail] > place[w.head]}
    forward = [(n, _turn(w) if n in turned else w) for n, w in between]
    sizes = {b.name: (b.width, b.height + _BETWEEN) for b in boxes}
    pairs = sorted({(w.tail, w.head) for _, w in forward}, key=lambda p: (place[p[0]], place[p[1]]))
    layers = layered(sorted(names, key=place.__getitem__), pairs, sizes, shape=shape)
    by_name = {b.name: b for b in boxes}
    nodes, chains = _with_lanes([[by_name[n] for n in layer] for layer in layers], forward)
    _order(nodes)
    _straighten(nodes)
    return _traced(nodes, chains, wires, turned)


def _turn(wire: Wire) -> Wire:
    return Wire(tail=wire.head, tail_y=wire.head_y, head=wire.tail, head_y=wire.tail_y)


_Chain = list[tuple[_Node, float]]  # the stations of a wire, one in each layer, and its port there


def _with_lanes(
    layers: Sequence[Sequence[Box]], wires: Sequence[tuple[int, Wire]]
) -> tuple[list[list[_Node]], dict[int, _Chain]]:
    """Nodes by layer; where a wire passes a layer it has a lane, shared by all that come from the same port."""
    nodes = [[_Node(key=b.name, height=b.height, box=b) for b in layer] for layer in layers]
    depth = {n.key: k for k, layer in enumerate(nodes) for n in layer}
    boxes = {n.key: n for layer in nodes for n in layer}
    lanes: dict[tuple[str, float, int], _Node] = {}
    joined: set[tuple[str, float, str, float]] = set()
    chains: dict[int, _Chain] = {}
    for n, wire in wires:
        chain: _Chain = [(boxes[wire.tail], wire.tail_y)]
        for k in range(depth[wire.tail] + 1, depth[wire.head]):
            address = (wire.tail, wire.tail_y, k)
            if address not in lanes:
                lanes[address] = _Node(key=f"{wire.tail}\0{wire.tail_y}\0{k}", height=_LANE)
                nodes[k].append(lanes[address])
            chain.append((lanes[address], _LANE / 2))
        chain.append((boxes[wire.head], wire.head_y))
        chains[n] = chain
        for (a, port_a), (b, port_b) in zip(chain, chain[1:], strict=False):
            if (a.key, port_a, b.key, port_b) not in joined:
                joined.add((a.key, port_a, b.key, port_b))
                a.right.append((port_a, b, port_b))
                b.left.append((port_b, a, port_a))
    return nodes, chains


def _space(above: _Node, below: _Node) -> float:
    """Lanes may run near to each other, boxes may not."""
    return _BETWEEN if above.box and below.box else _BETWEEN / 2 if above.box or below.box else 0.0


def _stack(layer: Sequence[_Node]) -> None:
    y = 0.0
    for n, node in enumerate(layer):
        y += _space(layer[n - 1], node) if n else 0.0
        node.y = y
        y += node.height


def _length(layer: Sequence[_Node]) -> float:
    return layer[-1].y + layer[-1].height - layer[0].y


def _centre(layer: Sequence[_Node], middle: float) -> None:
    _stack(layer)
    shift = middle - _length(layer) / 2
    for node in layer:
        node.y += shift


def _order(nodes: Sequence[list[_Node]]) -> None:
    """Barycentre sweeps to and fro; the order with the fewest crossings is kept."""
    for layer in nodes:
        _centre(layer, 0.0)
    best = _crossings(nodes), [list(layer) for layer in nodes]
    for sweep in range(_SWEEPS):
        rightward = sweep % 2 == 0
        for layer in nodes if rightward else reversed(nodes):
            wish = {n.key: _wish(n, n.left if rightward else n.right) for n in layer}
            layer.sort(key=lambda n: wish[n.key])
            _centre(layer, 0.0)
        now = _crossings(nodes)
        if now < best[0]:
            best = now, [list(layer) for layer in nodes]
    for layer, kept in zip(nodes, best[1], strict=True):
        layer[:] = kept
        _centre(layer, 0.0)


def _wish(node: _Node, ends: Sequence[tuple[float, _Node, float]]) -> float:
    """Where its top should be for level wires."""
    return sum(other.y + port - own for own, other, port in ends) / len(ends) if ends else node.y


def _crossings(nodes: Sequence[Sequence[_Node]]) -> int:
    total = 0
    for layer in nodes[:-1]:
        lines = sorted((n.y + own, other.y + port) for n in layer for own, other, port in n.right)
        heads = [head for _, head in lines]
        total += sum(a > b for k, a in enumerate(heads) for b in heads[k + 1 :])
    return total


def _straighten(nodes: Sequence[Sequence[_Node]]) -> None:
    """Move nodes towards level wires, in their order and inside the tallest layer's height."""
    tall = max(_length(layer) for layer in nodes)
    for sweep in range(_SWEEPS):
        for layer in nodes if sweep % 2 == 0 else reversed(nodes):
            wishes = [_wish(n, [*n.left, *n.right]) for n in layer]
            _stack(layer)
            offsets = [n.y for n in layer]
            weights = [1.0 if n.box else 2.0 for n in layer]
            slack = tall - _length(layer)
            tops = _monotone([w - o for w, o in zip(wishes, offsets, strict=True)], weights)
            for node, offset, top in zip(layer, offsets, tops, strict=True):
                node.y = offset + min(max(top, -tall / 2), -tall / 2 + slack)


def _monotone(wishes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising sequence nearest to the wishes (pool adjacent violators)."""
    pools: list[list[float]] = []  # value, weight, count
    for wish, weight in zip(wishes, weights, strict=True):
        pools.append([wish, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, heavy, count = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + value * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += count
    return [value for value, _, count in pools for _ in range(int(count))]


def _traced(
    nodes: Sequence[Sequence[_Node]],
    chains: Mapping[int, _Chain],
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
    spaces: list[dict[tuple[str, float], _Bundle]] = []
    x = 0.0
    for layer in nodes:
        width = max((n.box.width for n in layer if n.box), default=0.0)
        edges.append((x, x + width))
        corners |= {n.key: (x, n.y) for n in layer if n.box}
        widths |= {n.key: width for n in layer if n.box}
        bundles = _bundles(layer)
        spaces.append(bundles)
        loops = any(w.tail == w.head and w.tail in widths for _, w in wires)
        wide = _tracks(list(bundles.values()), x + width) if bundles else (_MARGIN if loops else 0.0)
        x += width + wide
    ways: dict[int, list[tuple[float, float]]] = {}
    for n, chain in chains.items():
        way = _way(chain, edges, spaces, {node.key: k for k, layer in enumerate(nodes) for node in layer})
        ways[n] = way[::-1] if n in turned else way
    for n, wire in wires:
        if wire.tail == wire.head:
            left, upper = corners[wire.tail]
            right = left + widths[wire.tail]
            a, b = upper + wire.tail_y, upper + wire.head_y
            ways[n] = [(right, a), (right + _MARGIN / 2, a), (right + _MARGIN / 2, b), (right, b)]
    height = max(n.y + n.height for layer in nodes for n in layer)
    return _Part(width=x, height=height, corners=corners, widths=widths, ways=ways)


def _bundles(layer: Sequence[_Node]) -> dict[tuple[str, float], _Bundle]:
    found: dict[tuple[str, float], _Bundle] = {}
    for node in layer:
        for own, other, port in node.right:
            bundle = found.setdefault((node.key, own), _Bundle(start=node.y + own))
            bundle.ends.append(other.y + port)
    return found


def _tracks(bundles: list[_Bundle], left: float) -> float:
    """Give every bundle its upright track between two layers; the width of the space."""
    order = sorted((b for b in bundles if not b.level), key=lambda b: (b.start, b.low))
    for _ in range(len(order)):
        moved = False
        for n in range(len(order) - 1):
            a, b = order[n], order[n + 1]
            if _cost(b, a) < _cost(a, b):
                order[n], order[n + 1] = b, a
                moved = True
        if not moved:
            break
    tracks: list[int] = []
    for n, bundle in enumerate(order):
        near = [
            t for o, t in zip(order[:n], tracks, strict=True) if o.low < bundle.high + 8 and bundle.low < o.high + 8
        ]
        tracks.append(max(near, default=-1) + 1)
    for bundle, track in zip(order, tracks, strict=True):
        bundle.x = left + _MARGIN + track * _TRACK
    return 2 * _MARGIN + max(tracks, default=0) * _TRACK


def _cost(left: _Bundle, right: _Bundle) -> int:
    """Crossings with one upright left of the other; pieces on top of each other are worse."""
    crossed = int(left.low < right.start < left.high)
    crossed += sum(right.low < end < right.high for end in left.ends)
    return crossed + 10 * sum(abs(end - right.start) < 3 for end in left.ends)


def _way(
    chain: _Chain,
    edges: Sequence[tuple[float, float]],
    spaces: Sequence[Mapping[tuple[str, float], _Bundle]],
    depth: Mapping[str, int],
) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for (node, port), (other, other_port) in zip(chain, chain[1:], strict=False):
        k = depth[node.key]
        start, end = node.y + port, other.y + other_port
        bundle = spaces[k][node.key, port]
        points.append((edges[k][1], start))
        if abs(end - start) >= _SAME or not bundle.level:
            points += [(bundle.x, start), (bundle.x, end)]
        points.append((edges[k + 1][0], end))
    return points
