"""What others own in a database: partition managers, monitoring, an administrator's own tables."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

from faberdb.catalog.schema import Schema, kind_of

_ABOUT: Final = ("owner of ", "grants on ", "comment on ", "index of ", "column order of ")
COLUMN_ORDER: Final = "column order of"


def without_ignored(schema: Schema, patterns: Collection[str]) -> Schema:
    """The schema without the objects that a pattern names, and without what is said about them.

    Args:
        schema: the whole.
        patterns: globs, in which `*` stands also for dots: of an identity, such as `public.events_p*` (the tables,
            their columns, keys and indexes that begin so), or of a kind and an identity, such as
            `index public.tmp_*`. A schema is ignored with all that is in it by `NAME` and `NAME.*`.
    """
    if not patterns:
        return schema
    return Schema(objects={k: v for k, v in schema.objects.items() if not _is_ignored(k, patterns)})


def on_common_ground(one: Schema, other: Schema, patterns: Collection[str]) -> tuple[Schema, Schema]:
    """Both without what is ignored, and without what only one of them tells: the order of columns is optional."""
    untold = {COLUMN_ORDER} - (_kinds(one) & _kinds(other))
    first, second = (
        without_ignored(s.without(untold) if untold & _kinds(s) else s, patterns) for s in (one, other)
    )
    return first, second


def _kinds(schema: Schema) -> set[str]:
    return {COLUMN_ORDER} if any(name.startswith(COLUMN_ORDER) for name in schema.objects) else set()


def _is_ignored(name: str, patterns: Collection[str]) -> bool:
    about = name
    while about.startswith(_ABOUT):
        about = next(about[len(head) :] for head in _ABOUT if about.startswith(head))
    kind = kind_of(about)
    identity = about[len(kind) + 1 :]
    names = {about, identity}
    if kind == "schema":
        names.add(f"{identity}.")  # so that `partman.*` takes the schema along
    return any(fnmatchcase(each, pattern) for each in names for pattern in patterns)
