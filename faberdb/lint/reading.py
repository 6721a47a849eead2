"""Looks at a script's statements, and the parts of them that several rules ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from faberdb.grammar.columns import Column, column_of, columns_of_table
from faberdb.grammar.names import dotted
from faberdb.grammar.parser import parse, pb
from faberdb.lint.live import Live
from faberdb.lint.rule import AlterCommand, Look
from faberdb.safer.forms import safer_form
from faberdb.statements import Statement, fits_one_transaction

_BEGINS = frozenset({"BEGIN", "START TRANSACTION"})
_ENDS = frozenset({"COMMIT", "ROLLBACK", "END", "PREPARE"})


def looks(statements: Sequence[Statement], live: Live, created: Collection[str] = ()) -> tuple[Look, ...]:
    """Every statement with what stands around it; `created` are relations that earlier scripts make."""
    whole = fits_one_transaction(statements)
    inside, opened = whole, 0
    new = dict.fromkeys(created, -1)
    made: list[Look] = []
    for number, statement in enumerate(statements):
        kind, body = _tree(statement.text)
        if statement.verb in _ENDS:
            inside = whole
        look = Look(
            statement=statement,
            kind=kind,
            body=body,
            script=made,
            statements=statements,
            number=number,
            opened=opened if inside else number,
            in_transaction=inside,
            created=new,
            live=live,
        )
        if statement.verb in _BEGINS:
            inside, opened = True, number + 1
        made.append(look)
        for name in statement.creates:
            new.setdefault(name, number)
    return tuple(made)


@lru_cache(maxsize=4096)  # a plan is made several times on its way to a release
def _tree(text: str) -> tuple[str, Any]:
    (item,) = parse(text).stmts
    kind = item.stmt.WhichOneof("node")
    return kind, getattr(item.stmt, kind)


def alters(look: Look, *names: str) -> Iterator[AlterCommand]:
    """The subcommands of these kinds of an ALTER TABLE on a table that was there before."""
    if look.kind != "alter_table_stmt" or look.new(look.table):
        return
    for item in look.body.cmds:
        command = item.alter_table_cmd
        name = pb.AlterTableType.Name(command.subtype)
        if name in names:
            added = getattr(command, "def").column_def if name == "AT_AddColumn" else None
            yield AlterCommand(
                name=name,
                target=dotted([command.name]),
                node=getattr(command, "def"),
                column=column_of(added) if added is not None else None,
            )


def added_columns(look: Look) -> Iterator[Column]:
    """The columns that it adds to a table that was there before."""
    yield from (c.column for c in alters(look, "AT_AddColumn") if c.column is not None)


def added_constraints(look: Look, *kinds: str) -> Iterator[Any]:
    """The constraints of these kinds that it adds to a table that was there before."""
    for command in alters(look, "AT_AddConstraint"):
        constraint = command.node.constraint
        if pb.ConstrType.Name(constraint.contype) in kinds:
            yield constraint


def new_columns(look: Look) -> tuple[Column, ...]:
    """The columns that it defines, in a new table or an old one."""
    return _columns(look.statement.text) if look.kind in {"create_stmt", "alter_table_stmt"} else ()


@lru_cache(maxsize=1024)  # many rules ask
def _columns(text: str) -> tuple[Column, ...]:
    kind, body = _tree(text)
    if kind == "create_stmt":
        return tuple(columns_of_table(body))
    commands = [item.alter_table_cmd for item in body.cmds]
    return tuple(column_of(getattr(c, "def").column_def) for c in commands if c.subtype == pb.AT_AddColumn)


def safer(look: Look) -> str:
    """The lock-safe form of a statement as one text, "" where there is none."""
    form = safer_form(look.statement.text)
    if form is None:
        return ""
    parts = [
        ("-- one transaction", (*form.quick,)),
        ("-- outside a transaction", form.alone),
        ("-- one transaction", form.then),
        ("-- in a migration of its own", form.validate),
        ("-- and then", form.finish),
    ]
    return "\n".join(
        line for head, texts in parts if texts for line in (head, *(f"{text};" for text in texts))
    )


def texts(nodes: Any) -> list[str]:
    """The names among a list of nodes, quoted where needed."""
    return [dotted([n.string.sval]) for n in nodes]
