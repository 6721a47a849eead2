"""Where the wires between two layers run: level out of a box, upright on a track, level into the next box.

The wires from one port are a bundle: they share the track.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from faberdb.diagram.stations import Chain, Node

MARGIN: Final = 24.0  # from a box to the first track: room for the marks at a wire's ends
_TRACK: Final = 9.0
_PASSES: Final = 40
_SAME: Final = 1.0  # nearer wires look like one


@dataclass(slots=True)
class Bundle:
    """The wires from one port through one space between two layers."""

    start: float  # height of the port
    ends: list[float] = field(default_factory=list)
    x: float = 0.0

    @property
    def low(self) -> float:
        """The upper end of the upright."""
        return min(self.start, *self.ends)

    @property
    def high(self) -> float:
        """The lower end of the upright."""
        return max(self.start, *self.ends)

    @property
    def level(self) -> bool:
        """Whether it needs no upright."""
        return self.high - self.low < _SAME


def bundles_of(layer: Sequence[Node]) -> dict[tuple[str, float], Bundle]:
    """Those that leave a layer, by station and port."""
    found: dict[tuple[str, float], Bundle] = {}
    for node in layer:
        for own, other, port in node.right:
            bundle = found.setdefault((node.key, own), Bundle(start=node.y + own))
            bundle.ends.append(other.y + port)
    return found


def tracks(bundles: list[Bundle], left: float) -> float:
    """Give every bundle its upright track between two layers; the width of the space."""
    order = sorted((b for b in bundles if not b.level), key=lambda b: (b.start, b.low))
    for _ in range(min(len(order), _PASSES)):
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
            t
            for o, t in zip(order[:n], tracks, strict=True)
            if o.low < bundle.high + 8 and bundle.low < o.high + 8
        ]
        tracks.append(max(near, default=-1) + 1)
    for bundle, track in zip(order, tracks, strict=True):
        bundle.x = left + MARGIN + track * _TRACK
    return 2 * MARGIN + max(tracks, default=0) * _TRACK


def _cost(left: Bundle, right: Bundle) -> int:
    """Crossings with one upright left of the other; pieces on top of each other are worse."""
    crossed = int(left.low < right.start < left.high)
    crossed += sum(right.low < end < right.high for end in left.ends)
    return crossed + 10 * sum(abs(end - right.start) < 3 for end in left.ends)


def way_of(
    chain: Chain,
    edges: Sequence[tuple[float, float]],
    spaces: Sequence[Mapping[tuple[str, float], Bundle]],
    depth: Mapping[str, int],
) -> list[tuple[float, float]]:
    """The corners of a wire from left to right.

    Args:
        chain: its stations.
        edges: left and right of each layer.
        spaces: the bundles behind each layer.
        depth: the layer of each station.
    """
    points: list[tuple[float, float]] = []
    for (node, port), (other, other_port) in pairwise(chain):
        k = depth[node.key]
        start, end = node.y + port, other.y + other_port
        bundle = spaces[k][node.key, port]
        points.append((edges[k][1], start))
        if abs(end - start) >= _SAME or not bundle.level:
            points += [(bundle.x, start), (bundle.x, end)]
        points.append((edges[k + 1][0], end))
    return points
