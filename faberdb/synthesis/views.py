"""Views: put in place where others may go on standing on them, made anew otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faberdb.catalog.names import statement_of
from faberdb.synthesis.kind import World


def create_view(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE VIEW."""
    yield f"CREATE VIEW {who} {text.rstrip(';')}"


def create_materialized(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE MATERIALIZED VIEW, with its rows."""
    yield f"CREATE MATERIALIZED VIEW {who} {text.rstrip(';')}"


def drop_view(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP VIEW."""
    yield f"DROP VIEW {who}"


def drop_materialized(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP MATERIALIZED VIEW: its rows are the query's."""
    yield f"DROP MATERIALIZED VIEW {who}"


def change_view(world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """CREATE OR REPLACE where the columns that were there stay, in their places and of their types."""
    old, new = _output(who, before), _output(who, after)
    if not old or new[: len(old)] != old:
        return None
    for column in old:
        name = f"column {who}.{column}"
        if world.before.objects.get(name) != world.after.objects.get(name):
            return None
    return (f"CREATE OR REPLACE VIEW {who} {after.rstrip(';')}",)


def _output(who: str, text: str) -> list[str]:
    """The names of a query's columns in their order, empty where they are not plain."""
    node = statement_of(f"CREATE VIEW {who} {text.rstrip(';')}")
    if node is None:
        return []
    select: Any = node.view_stmt.query.select_stmt
    while select.HasField("larg"):
        select = select.larg
    found = [_quoted(_output_name(target.res_target)) for target in select.target_list]
    return found if all(found) else []


def _output_name(target: Any) -> str:
    if target.name:
        return str(target.name)
    reference = target.val.column_ref
    return str(reference.fields[-1].string.sval) if reference.fields else ""


def _quoted(name: str) -> str:
    # A name in need of quotes is not found among the columns as it is spelled there: no matter, both are alike.
    return name
