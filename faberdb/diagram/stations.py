"""The stations of a drawing, layer by layer: boxes, and lanes for the wires that pass; their order and heights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from msgspec import Struct

BETWEEN: Final = 26.0  # boxes, and components
_LANE: Final = 14.0  # the height that a wire needs to pass a layer
_SWEEPS: Final = 12


class Box(Struct, frozen=True, kw_only=True):
    """A thing to place."""

    name: str
    width: float
    height: float


class Wire(Struct, frozen=True, kw_only=True):
    """From one box's port to another's. Two ports of a box at the same height are the same port."""

    tail: str
    tail_y: float  # from the box's top
    head: str
    head_y: float


@dataclass(slots=True)
class Node:
    """A box in its layer, or the lane of a bundle that passes it."""

    key: str
    height: float
    y: float = 0.0
    box: Box | None = None
    left: list[tuple[float, Node, float]] = field(default_factory=list)  # own port, other, its port
    right: list[tuple[float, Node, float]] = field(default_factory=list)


Chain = list[tuple[Node, float]]  # the stations of a wire, one in each layer, and its port there


def with_lanes(
    layers: Sequence[Sequence[Box]], wires: Sequence[tuple[int, Wire]]
) -> tuple[list[list[Node]], dict[int, Chain]]:
    """Nodes by layer; where a wire passes a layer it has a lane, shared by all that come from the same port."""
    nodes = [[Node(key=b.name, height=b.height, box=b) for b in layer] for layer in layers]
    depth = {n.key: k for k, layer in enumerate(nodes) for n in layer}
    boxes = {n.key: n for layer in nodes for n in layer}
    lanes: dict[tuple[str, float, int], Node] = {}
    joined: set[tuple[str, float, str, float]] = set()
    chains: dict[int, Chain] = {}
    for n, wire in wires:
        chain: Chain = [(boxes[wire.tail], wire.tail_y)]
        for k in range(depth[wire.tail] + 1, depth[wire.head]):
            address = (wire.tail, wire.tail_y, k)
            if address not in lanes:
                lanes[address] = Node(key=f"{wire.tail}\0{wire.tail_y}\0{k}", height=_LANE)
                nodes[k].append(lanes[address])
            chain.append((lanes[address], _LANE / 2))
        chain.append((boxes[wire.head], wire.head_y))
        chains[n] = chain
        for (a, port_a), (b, port_b) in pairwise(chain):
            if (a.key, port_a, b.key, port_b) not in joined:
                joined.add((a.key, port_a, b.key, port_b))
                a.right.append((port_a, b, port_b))
                b.left.append((port_b, a, port_a))
    return nodes, chains


def _space(above: Node, below: Node) -> float:
    """Lanes may run near to each other, boxes may not."""
    return BETWEEN if above.box and below.box else BETWEEN / 2 if above.box or below.box else 0.0


def _stack(layer: Sequence[Node]) -> None:
    y = 0.0
    for n, node in enumerate(layer):
        y += _space(layer[n - 1], node) if n else 0.0
        node.y = y
        y += node.height


def _length(layer: Sequence[Node]) -> float:
    return layer[-1].y + layer[-1].height - layer[0].y


def _centre(layer: Sequence[Node], middle: float) -> None:
    _stack(layer)
    shift = middle - _length(layer) / 2
    for node in layer:
        node.y += shift


def order(nodes: Sequence[list[Node]]) -> None:
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


def _wish(node: Node, ends: Sequence[tuple[float, Node, float]]) -> float:
    """Where its top should be for level wires."""
    return sum(other.y + port - own for own, other, port in ends) / len(ends) if ends else node.y


def _crossings(nodes: Sequence[Sequence[Node]]) -> int:
    total = 0
    for layer in nodes[:-1]:
        lines = sorted((n.y + own, other.y + port) for n in layer for own, other, port in n.right)
        above: list[float] = []
        for _, head in lines:
            place = bisect_right(above, head)
            total += len(above) - place
            above.insert(place, head)
    return total


def straighten(nodes: Sequence[Sequence[Node]]) -> None:
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
