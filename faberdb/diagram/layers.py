"""Which box stands in which column of the drawing, and in which order: layers from left to right.

Pure and deterministic: names and heights in, layers out. A wire runs from the table that is referred to, on
the left, to the one that refers to it; of a circle one wire runs the other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

# As far as the shape is guessed: a space between layers without its tracks, a track, a lane.
_GAP: Final = 50.0
_TRACK: Final = 6.0
_LANE: Final = 18.0
_STEPS: Final = 24  # shapes that are tried


def components(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """What hangs together, in the order of the names."""
    root = {n: n for n in names}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for one, other in pairs:
        root[find(other)] = find(one)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(find(name), []).append(name)
    return list(groups.values())


def acyclic(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """An order in which few pairs run backwards (Eades, Lin and Smyth): name -> place."""
    out: dict[str, set[str]] = {n: set() for n in names}
    into: dict[str, set[str]] = {n: set() for n in names}
    for a, b in pairs:
        if a != b:
            out[a].add(b)
            into[b].add(a)
    left: list[str] = []
    right: list[str] = []
    rest = list(names)
    while rest:
        chosen = next((n for n in rest if not out[n]), None)
        if chosen is not None:
            right.append(chosen)
        else:
            chosen = next((n for n in rest if not into[n]), None)
            chosen = chosen or max(rest, key=lambda n: len(out[n]) - len(into[n]))
            left.append(chosen)
        rest.remove(chosen)
        for other in out.pop(chosen):
            into[other].discard(chosen)
        for other in into.pop(chosen):
            out[other].discard(chosen)
    return {n: place for place, n in enumerate([*left, *reversed(right)])}


def layered(
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    sizes: Mapping[str, tuple[float, float]],
    *,
    shape: float,
) -> list[list[str]]:
    """Layers whose drawing comes near to a shape.

    Args:
        names: in an order in which every pair runs forward.
        pairs: from left to right.
        sizes: width and height of each.
        shape: width by height to aim at.
    """
    total = sum(h for _, h in sizes.values())
    tallest = max(h for _, h in sizes.values())
    best: tuple[float, list[list[str]]] | None = None
    for step in range(_STEPS):
        bound = tallest + (total - tallest) * (step / (_STEPS - 1)) ** 2
        layers = _filled(names, pairs, sizes, bound)
        width, height = _guessed(layers, pairs, sizes)
        off = max(width / height / shape, shape * height / width) * (width * height) ** 0.25
        if best is None or off < best[0] - 1e-9:
            best = off, layers
    assert best is not None
    return best[1]


def _guessed(
    layers: Sequence[Sequence[str]],
    pairs: Sequence[tuple[str, str]],
    sizes: Mapping[str, tuple[float, float]],
) -> tuple[float, float]:
    """Width and height with the wires: tracks widen the space behind a layer, lanes heighten a layer."""
    depth = {n: k for k, layer in enumerate(layers) for n in layer}
    reach: dict[str, int] = {}
    for a, b in pairs:
        reach[a] = max(reach.get(a, 0), depth[b])
    tracks, lanes = [0] * len(layers), [0] * len(layers)
    for name, last in reach.items():
        for k in range(depth[name], last):
            tracks[k] += 1
            lanes[k] += k > depth[name]
    width = sum(max(sizes[n][0] for n in layer) + _GAP for layer in layers) + sum(tracks) * _TRACK
    height = max(
        sum(sizes[n][1] for n in layer) + passing * _LANE
        for layer, passing in zip(layers, lanes, strict=True)
    )
    return width, height


def _filled(
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    sizes: Mapping[str, tuple[float, float]],
    bound: float,
) -> list[list[str]]:
    """Each in the first layer behind its predecessors' that has room; then as near to its followers as it can."""
    before: dict[str, list[str]] = {n: [] for n in names}
    behind: dict[str, list[str]] = {n: [] for n in names}
    for a, b in pairs:
        before[b].append(a)
        behind[a].append(b)
    layer: dict[str, int] = {}
    used: list[float] = []
    for name in names:
        place = max((layer[b] + 1 for b in before[name]), default=0)
        while place < len(used) and used[place] and used[place] + sizes[name][1] > bound:
            place += 1
        used += [0.0] * (place + 1 - len(used))
        used[place] += sizes[name][1]
        layer[name] = place
    for name in reversed(names):
        if behind[name]:
            latest = min(layer[b] for b in behind[name]) - 1
            places = range(latest, layer[name], -1)
            better = next((p for p in places if used[p] + sizes[name][1] <= bound), None)
            if better is not None:
                used[layer[name]] -= sizes[name][1]
                used[better] += sizes[name][1]
                layer[name] = better
    kept = sorted(set(layer.values()))
    return [[n for n in names if layer[n] == k] for k in kept]
