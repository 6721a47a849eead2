"""Objects taken apart into what SQL can change by itself.

The catalogue tells a table with its storage options, row security, partition bound and replica identity in one
text, and a trigger with its state. Each of these has a statement of its own, so each becomes an object of its own
here, named like an annotation: `row security of table public.account`. Refuses to know the statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from faberdb.catalog import kind_of
from faberdb.catalog.names import split_name
from faberdb.synthesis.column_text import column_text

ABOUT: Final = ("owner of", "grants on", "comment on")
PARTS: Final = (
    "row security of",
    "forced row security of",
    "replica identity of",
    "storage options of",
    "attachment of",
    "inheritance of",
    "default of",
    "storage of",
    "compression of",
    "statistics target of",
    "column options of",
    "inheriting of",
    "state of",
    "clustering of",
    "owned by of",
)
_HEADS: Final = (*ABOUT, *PARTS)
_RELATION: Final = r'(?:"(?:[^"]|"")*"|[^\s".,]+)\.(?:"(?:[^"]|"")*"|[^\s".,]+)'
_TABLE: Final = re.compile(
    r"(?P<head>(?:UNLOGGED )?TABLE(?: OF (?P<of>\S+))?)"
    rf"(?: PARTITION OF (?P<parent>{_RELATION}) (?P<bound>DEFAULT|FOR VALUES .*?\)))?"
    rf"(?: INHERITS (?P<inherits>{_RELATION}(?:, {_RELATION})*))?"
    r"(?P<by> PARTITION BY .*?)?"
    r"(?P<using> USING \S+)?"
    r"(?: WITH \((?P<options>[^()]*)\))?"
    r"(?P<space> TABLESPACE \S+)?"
    r"(?P<security> ROW LEVEL SECURITY)?"
    r"(?P<forced> FORCE ROW LEVEL SECURITY)?"
    r"(?: REPLICA IDENTITY (?P<replica>NOTHING|FULL|USING INDEX .+))?",
    re.DOTALL,
)
_COLUMN: Final = re.compile(
    r"(?P<rest>.*?)(?: STORAGE (?P<storage>[A-Z]+))?(?: COMPRESSION (?P<compression>pglz|lz4))?"
    r"(?: STATISTICS (?P<target>\d+))?(?: WITH \((?P<options>[^()]*)\))?(?P<inherited> INHERITED)?",
    re.DOTALL,
)
_INDEX: Final = re.compile(
    rf"(?P<rest>.*?)(?: PARTITION OF (?P<parent>{_RELATION}))?(?P<space> TABLESPACE \S+)?"
    r"(?: STATISTICS \((?P<target>[\d, ]+)\))?(?P<cluster> CLUSTER)?(?P<invalid> INVALID)?",
    re.DOTALL,
)
_STATE: Final = re.compile(r"(?P<rest>.*?) (?P<state>DISABLED|ENABLED REPLICA|ENABLED ALWAYS)", re.DOTALL)
_STATISTICS: Final = re.compile(r"(?P<rest>.*?) STATISTICS (?P<target>\d+)", re.DOTALL)


def kind(name: str) -> str:
    """The kind that a name begins with, a part's among them."""
    return next((head for head in _HEADS if name.startswith(head + " ")), "") or kind_of(name)


def identity(name: str) -> str:
    """What follows the kind: for a part or an annotation the name of its subject."""
    return name[len(kind(name)) + 1 :]


def whole(name: str) -> str:
    """The object of the catalogue that a part was taken from."""
    return identity(name) if kind(name) in PARTS else name


def taken_apart(objects: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The objects and their parts.

    Args:
        objects: one schema's.
        other: the other schema's: a default is a part where the column is in both, as only then it changes alone.
    """
    apart: dict[str, str] = {}
    for name, text in objects.items():
        rest = text
        for part, said in _parts(name, text, objects, other):
            if part:
                apart[f"{part} {name}"] = said
            else:
                rest = said
        apart[name] = rest
    return apart


def _parts(
    name: str, text: str, objects: Mapping[str, str], other: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Each part with its text; the object itself, without them, as ""."""
    what = kind(name)
    if what == "table":
        yield from _table(text)
    elif what == "column":
        yield from _column(name, text, objects, other)
    elif what == "domain" and name in other:
        yield from _default(text)
    elif what in {"index", "constraint"} and (found := _INDEX.fullmatch(text)):
        yield "", found["rest"] + (found["space"] or "") + (found["invalid"] or "")
        yield from _given(
            {
                "attachment of": found["parent"],
                "statistics target of": found["target"],
                "clustering of": found["cluster"],
            }
        )
    elif what in {"trigger", "rule", "event trigger"} and (found := _STATE.fullmatch(text)):
        yield "", found["rest"]
        yield "state of", found["state"]
    elif what == "statistics" and (found := _STATISTICS.fullmatch(text)):
        yield "", found["rest"]
        yield "statistics target of", found["target"]
    elif what == "sequence" and " OWNED BY " in text:
        rest, _, owner = text.partition(" OWNED BY ")
        yield "", rest
        yield "owned by of", owner


def _table(text: str) -> Iterator[tuple[str, str]]:
    found = _TABLE.fullmatch(text)
    if found is None:
        return
    yield "", "".join(found[part] or "" for part in ("head", "by", "using", "space"))
    yield from _given(
        {
            "attachment of": found["parent"] and f"{found['parent']} {found['bound']}",
            "inheritance of": found["inherits"],
            "storage options of": found["options"],
            "row security of": found["security"],
            "forced row security of": found["forced"],
            "replica identity of": found["replica"],
        }
    )


def _column(
    name: str, text: str, objects: Mapping[str, str], other: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    found = _COLUMN.fullmatch(text)
    if found is None:
        return
    rest = found["rest"]
    relation = split_name(name.removeprefix("column "))[0]
    if f"table {relation}" not in objects or name in other:
        for part, said in _default(rest):
            if part:
                yield part, said
            else:
                rest = said
    yield "", rest
    yield from _given(
        {
            "storage of": found["storage"],
            "compression of": found["compression"],
            "statistics target of": found["target"],
            "column options of": found["options"],
            "inheriting of": found["inherited"],
        }
    )


def _default(text: str) -> Iterator[tuple[str, str]]:
    column = column_text(text)
    if column is not None and column.default:
        yield "", column.without_default
        yield "default of", column.default


def _given(parts: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    for part, said in parts.items():
        if said:
            yield part, said.strip()
