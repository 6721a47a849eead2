"""The order of the steps: what must come before what, and by kind where nothing says so."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Act(StrEnum):
    """What a step does to its object."""

    DROP = "drop"
    CHANGE = "change"
    CREATE = "create"


class Step(Struct, frozen=True, kw_only=True):
    """The statements of one act, which stay together."""

    act: Act
    object: str
    statements: tuple[str, ...]  # without a semicolon
    destroys: tuple[str, ...] = ()  # what holds rows or values and goes with them


_DROPS: Final = (
    "event trigger",
    "publication",
    "comment on",
    "grants on",
    "state of",
    "clustering of",
    "policy",
    "rule",
    "trigger",
    "view",
    "materialized view",
    "foreign key",
    "attachment of",
    "replica identity of",
    "default of",
    "constraint",
    "statistics",
    "index",
    "owned by of",
    "column",
    "table",
    "sequence",
    "cast",
    "operator",
    "aggregate",
    "procedure",
    "function",
    "domain constraint",
    "domain",
    "attribute",
    "type",
    "enum",
)
_CREATES: Final = (
    "schema",
    "extension",
    "collation",
    "enum",
    "type",
    "attribute",
    "domain",
    "domain constraint",
    "text search dictionary",
    "text search configuration",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "operator",
    "cast",
    "table",
    "column",
    "default of",
    "storage of",
    "storage options of",
    "constraint",
    "index",
    "attachment of",
    "inheritance of",
    "foreign key",
    "view",
    "materialized view",
    "statistics",
    "replica identity of",
    "trigger",
    "rule",
    "policy",
    "row security of",
    "publication",
    "owner of",
    "owned by of",
    "grants on",
    "comment on",
    "default privileges",
    "event trigger",
)
# Nothing names what comes from an extension, and a schema goes when it is empty.
_LAST: Final = ("extension", "schema")


def rank(act: Act, kind: str) -> int:
    """Lower comes earlier, where nothing else orders two steps."""
    if act is Act.DROP:
        return 1000 + _LAST.index(kind) if kind in _LAST else _place(_DROPS, kind)
    return 100 + _place(_CREATES, kind)


def _place(kinds: Sequence[str], kind: str) -> int:
    return kinds.index(kind) if kind in kinds else len(kinds)


def ordered(
    steps: Sequence[Step], ranks: Mapping[Step, int], edges: Iterable[tuple[Step, Step]]
) -> list[Step]:
    """Each step after those that an edge puts before it; where they run in a circle, by rank.

    Args:
        steps: all of them.
        ranks: as `rank` says.
        edges: pairs of an earlier and a later step.
    """
    numbers = {
        step: (ranks[step], number) for number, step in enumerate(sorted(steps, key=lambda s: s.object))
    }
    followers: dict[Step, set[Step]] = defaultdict(set)
    awaited = dict.fromkeys(steps, 0)
    for earlier, later in edges:
        if earlier is not later and later not in followers[earlier]:
            followers[earlier].add(later)
            awaited[later] += 1
    ready = [(*numbers[s], s.object, s) for s in steps if not awaited[s]]
    heapq.heapify(ready)
    done = dict[Step, None]()
    while len(done) < len(steps):
        if not ready:
            stuck = min((s for s in steps if s not in done), key=lambda s: numbers[s])
            ready.append((*numbers[stuck], stuck.object, stuck))
        step = heapq.heappop(ready)[-1]
        if step in done:
            continue
        done[step] = None
        for later in followers[step]:
            awaited[later] -= 1
            if awaited[later] == 0 and later not in done:
                heapq.heappush(ready, (*numbers[later], later.object, later))
    return list(done)
