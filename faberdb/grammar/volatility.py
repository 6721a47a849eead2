"""Whether an expression gives another value for every row, as far as its text says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from faberdb.grammar.names import strings
from faberdb.statements import Certainty

_VOLATILE: Final = frozenset(
    {
        "clock_timestamp",
        "currval",
        "gen_random_bytes",
        "gen_random_uuid",
        "lastval",
        "nanoid",
        "nextval",
        "random",
        "random_normal",
        "setval",
        "timeofday",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "uuidv4",
        "uuidv7",
    }
)
_STEADY: Final = frozenset(
    {
        "abs",
        "array_fill",
        "concat",
        "current_database",
        "current_schema",
        "current_setting",
        "date_trunc",
        "decode",
        "encode",
        "format",
        "json_build_array",
        "json_build_object",
        "jsonb_build_array",
        "jsonb_build_object",
        "lower",
        "make_date",
        "make_interval",
        "md5",
        "now",
        "statement_timestamp",
        "to_char",
        "to_date",
        "to_timestamp",
        "timezone",
        "transaction_timestamp",
        "trunc",
        "upper",
        "version",
    }
)


def volatile(expression: Any) -> Certainty:
    """YES for functions known to be volatile, DEPENDS where one is not known, NO otherwise."""
    names = set(_functions(expression))
    if names & _VOLATILE:
        return Certainty.YES
    return Certainty.DEPENDS if names - _STEADY else Certainty.NO


def _functions(node: Any) -> Iterator[str]:
    """The last parts of the names of the functions in a tree of the grammar."""
    if node.DESCRIPTOR.name == "FuncCall":
        yield (strings(node.funcname) or [""])[-1]
    for field, value in node.ListFields():
        if field.message_type is None:
            continue
        for child in [value] if hasattr(value, "ListFields") else value:
            yield from _functions(child)
