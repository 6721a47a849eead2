"""Writing SQL from the difference of two schemas. What it cannot write it says, and guesses nothing.

Every definition is the catalogue's own text (faberdb.catalog), most of which is SQL already. The order is by kind:
what hangs on others goes first and comes last. Whether the result is right is not decided here but proven
(faberdb.synthesis.proof).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from faberdb.catalog import Schema, kind_of
from faberdb.catalog.difference import Difference, differences
from faberdb.catalog.names import split_name, table_of
from faberdb.grammar.parser import NotInGrammar, parse
from faberdb.synthesis.columns import altered, column_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """The way from one schema to another."""

    statements: tuple[str, ...]  # without a semicolon; for one transaction
    unwritten: tuple[Difference, ...]  # left for a person
    destroys: tuple[str, ...]  # what holds rows or values and goes: tables, columns, sequences

    @property
    def script(self) -> str:
        """The statements as a file's text."""
        return "".join(f"{statement};\n" for statement in self.statements)


_DROPS: Final = (
    "trigger",
    "rule",
    "policy",
    "view",
    "materialized view",
    "foreign key",
    "constraint",
    "statistics",
    "index",
    "column",
    "table",
    "sequence",
    "procedure",
    "function",
    "domain",
    "enum",
    "extension",
    "schema",
)
_CREATES: Final = (
    "schema",
    "extension",
    "enum",
    "domain",
    "domain constraint",
    "sequence",
    "function",
    "procedure",
    "table",
    "column",
    "sequence owner",
    "constraint",
    "foreign key",
    "view",
    "materialized view",
    "index",
    "statistics",
    "trigger",
    "rule",
    "policy",
    "switch",
    "owner of",
    "grants on",
    "comment on",
)
_ON_TABLE: Final = {"trigger", "rule", "policy"}
_SWITCHES: Final = {
    " FORCE ROW LEVEL SECURITY": ("NO FORCE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"),
    " ROW LEVEL SECURITY": ("DISABLE ROW LEVEL SECURITY", "ENABLE ROW LEVEL SECURITY"),
}
_COMMENTED: Final = {
    "schema": "SCHEMA",
    "enum": "TYPE",
    "domain": "DOMAIN",
    "sequence": "SEQUENCE",
    "table": "TABLE",
    "column": "COLUMN",
    "index": "INDEX",
    "statistics": "STATISTICS",
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
}
_OWNED: Final = {k: v for k, v in _COMMENTED.items() if k not in {"column", "index"}}
_GRANTED: Final = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "sequence": "SEQUENCE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "enum": "TYPE",
    "domain": "DOMAIN",
}


class _Unwritten(Exception):
    """This difference is left for a person."""


def synthesise(before: Schema, after: Schema, *, login: str = "") -> Synthesis:
    """The statements that make `after` of a database whose schema is `before`.

    Args:
        before: where it begins.
        after: where it ends.
        login: who will run them: what that role creates is its own, without a word about the owner.
    """
    found = differences(before, after)
    gone = {d.object for d in found if d.kind == "removed"}
    new = {d.object for d in found if d.kind == "added"}
    moved = {d.object for d in found if d.kind == "changed" and "view" in kind_of(d.object)}
    writing = _Writing(before.objects, after.objects, gone, new, moved, login)
    unwritten = []
    for difference in found:
        try:
            writing.write(difference)
        except _Unwritten:
            unwritten.append(difference)
    return Synthesis(
        statements=tuple(writing.ordered()),
        unwritten=tuple(unwritten),
        destroys=tuple(sorted(writing.destroys)),
    )


class _Writing:
    def __init__(
        self,
        before: Mapping[str, str],
        after: Mapping[str, str],
        gone: set[str],
        new: set[str],
        moved: set[str],  # views that are made anew
        login: str,
    ) -> None:
        self._login = login
        self._before, self._after, self._gone, self._new, self._moved = before, after, gone, new, moved
        self._drops: dict[str, list[tuple[str, str]]] = {kind: [] for kind in _DROPS}
        self._creates: dict[str, list[tuple[str, str]]] = {kind: [] for kind in _CREATES}
        self.destroys: set[str] = set()

    def ordered(self) -> list[str]:
        """Drops, then creates; a view after the views that its text names."""
        for kind in ("view", "materialized view"):
            self._drops[kind] = _named_last(self._drops[kind], self._before, kind)[::-1]
            self._creates[kind] = _named_last(self._creates[kind], self._after, kind)
        drops = [statement for kind in _DROPS for _, statement in self._drops[kind]]
        creates = [statement for kind in _CREATES for _, statement in self._creates[kind]]
        # A function's body may name a table that comes after it.
        early = self._creates["function"] or self._creates["procedure"]
        return [*(["SET LOCAL check_function_bodies = off"] if early else []), *drops, *creates]

    def write(self, difference: Difference) -> None:
        """Add the statements for one object.

        Raises:
            _Unwritten: it is not known how.
        """
        kind = kind_of(difference.object)
        name = difference.object[len(kind) + 1 :]
        if kind in {"owner of", "grants on", "comment on"}:
            self._annotate(kind, name, difference)
            return
        if difference.kind == "removed" and self._goes_with_its_table(difference):
            return
        if kind == "column":
            self._column(name, difference)
        elif kind == "table":
            self._table(name, difference)
        elif kind == "sequence":
            self._sequence(name, difference)
        elif kind == "enum" and difference.kind == "changed":
            self._labels(name, difference)
        elif kind in {"function", "procedure"} and difference.kind == "changed":
            self._create(kind, name, difference.after or "")
        else:
            self._exchange(kind, name, difference)

    def _exchange(self, kind: str, name: str, difference: Difference) -> None:
        """Drop what was, create what shall be."""
        created = None if difference.after is None else _creation(kind, name, difference.after)
        if kind == "view" and created and difference.before and self._same_columns(name):
            self._create(kind, name, created.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
            return  # other views may stand on it
        if difference.before is not None:
            if kind in {"enum", "domain", "extension", "schema"} and difference.after is not None:
                raise _Unwritten
            self._drop(kind, name, difference.before)
        if created is not None:
            self._create(_rank(kind, difference.after or ""), name, created)

    def _drop(self, kind: str, name: str, definition: str) -> None:
        rank = _rank(kind, definition)
        if rank not in self._drops:
            raise _Unwritten
        if kind in _ON_TABLE:
            table, part = split_name(name)
            statement = f"DROP {kind.upper()} {part} ON {table}"
        elif kind == "constraint":
            table, part = split_name(name)
            statement = f"ALTER TABLE {table} DROP CONSTRAINT {part}"
        else:
            statement = f"DROP {'TYPE' if kind == 'enum' else kind.upper()} {name}"
        self._drops[rank].append((name, statement))

    def _create(self, rank: str, name: str, statement: str) -> None:
        self._creates[rank].append((name, statement))

    def _goes_with_its_table(self, difference: Difference) -> bool:
        table = table_of(difference.object, difference.before or "")
        itself = kind_of(difference.object) == "table"
        if kind_of(difference.object) == "domain constraint":
            domain, _ = split_name(difference.object.removeprefix("domain constraint "))
            return f"domain {domain}" in self._gone
        return bool(table) and not itself and bool({f"table {table}", *_views(table)} & self._gone)

    def _column(self, name: str, difference: Difference) -> None:
        table, column = split_name(name)
        if {f"table {table}", *_views(table)} & (self._new | self._moved):
            return  # told by CREATE TABLE, or a view's
        if f"table {table}" not in self._before:
            raise _Unwritten  # a foreign table's
        if f"table {table}" not in self._after:
            raise _Unwritten
        if difference.after is None:
            self.destroys.add(difference.object)
            self._drops["column"].append((name, f"ALTER TABLE {table} DROP COLUMN {column}"))
        elif difference.before is None:
            if column_text(difference.after) is None:
                raise _Unwritten
            self._create("column", name, f"ALTER TABLE {table} ADD COLUMN {column} {difference.after}")
        else:
            changes = altered(table, column, difference.before, difference.after)
            if changes is None:
                raise _Unwritten
            for change in changes:
                self._create("column", name, change)

    def _table(self, name: str, difference: Difference) -> None:
        if difference.after is None:
            self.destroys.add(difference.object)
            self._drops["table"].append((name, f"DROP TABLE {name}"))
            return
        kept, wanted = difference.after, _switches(difference.after)
        for suffix in _SWITCHES:
            kept = kept.replace(suffix, "")
        had = _switches(difference.before or "")
        if difference.before is not None:
            old = difference.before
            for suffix in _SWITCHES:
                old = old.replace(suffix, "")
            if old != kept:
                raise _Unwritten
        elif kept in {"TABLE", "UNLOGGED TABLE"}:
            self._create("table", name, self._new_table(name, kept))
        else:
            raise _Unwritten
        for suffix, (off, on) in _SWITCHES.items():
            if (suffix in wanted) != (suffix in had):
                self._create("switch", name, f"ALTER TABLE {name} {on if suffix in wanted else off}")

    def _same_columns(self, name: str) -> bool:
        return _columns_of(name, self._before) == _columns_of(name, self._after)

    def _new_table(self, name: str, kept: str) -> str:
        columns = _columns_of(name, self._after)
        if any(column_text(text) is None for _, text in columns):
            raise _Unwritten
        inside = ",\n".join(f"    {column} {text}" for column, text in columns)
        return f"CREATE {kept} {name} (\n{inside}\n)"

    def _sequence(self, name: str, difference: Difference) -> None:
        text = difference.after or difference.before or ""
        if " IDENTITY OF " in text:
            if difference.kind == "changed":
                raise _Unwritten
            return  # its column brings it and takes it along
        if difference.after is None:
            owner = text.partition(" OWNED BY ")[2]
            goes_along = bool(owner) and {f"column {owner}", f"table {split_name(owner)[0]}"} & self._gone
            if not goes_along:
                self.destroys.add(difference.object)
                self._drops["sequence"].append((name, f"DROP SEQUENCE {name}"))
            return
        if difference.before is not None:
            raise _Unwritten
        kind = "UNLOGGED SEQUENCE" if text.startswith("UNLOGGED ") else "SEQUENCE"
        made, _, owner = text.removeprefix("UNLOGGED ").partition(" OWNED BY ")
        self._create("sequence", name, f"CREATE {kind} {name} AS {made}")
        if owner:
            self._create("sequence owner", name, f"ALTER SEQUENCE {name} OWNED BY {owner}")

    def _labels(self, name: str, difference: Difference) -> None:
        """New labels may come in between; one that goes, or moves, needs a type of its own."""
        old, new = _literals(difference.before or ""), _literals(difference.after or "")
        if [label for label in new if label in old] != old:
            raise _Unwritten
        place = ""
        for number, label in enumerate(new):
            if label not in old:
                later = next((x for x in new[number:] if x in old), "")
                place = f" BEFORE {later}" if later else ""
                self._create("enum", name, f"ALTER TYPE {name} ADD VALUE {label}{place}")

    def _annotate(self, kind: str, about: str, difference: Difference) -> None:
        if about in self._gone:
            return
        about_kind = kind_of(about)
        name = about[len(about_kind) + 1 :]
        if kind == "comment on":
            text = "NULL" if difference.after is None else _literal(difference.after)
            self._create(kind, about, f"COMMENT ON {_place(about_kind, name)} IS {text}")
        elif kind == "owner of":
            if about_kind not in _OWNED or difference.after is None:
                raise _Unwritten
            if about_kind == "sequence" and " IDENTITY OF " in self._after.get(about, ""):
                return
            if about in self._new and difference.after == self._login:
                return
            role = '"' + difference.after.replace('"', '""') + '"'
            self._create(kind, about, f"ALTER {_OWNED[about_kind]} {name} OWNER TO {role}")
        else:
            for statement in _grants(about_kind, name, difference):
                self._create(kind, about, statement)


def _creation(kind: str, name: str, text: str) -> str:
    """The statement that makes an object, as PostgreSQL's grammar accepts it.

    Raises:
        _Unwritten: the text says more than a statement can, or the kind is none of ours.
    """
    table, part = split_name(name)
    made = {
        "schema": f"CREATE SCHEMA {name}",
        "extension": f"CREATE EXTENSION {name} SCHEMA {text.partition(' SCHEMA ')[2]}",
        "enum": f"CREATE TYPE {name} AS ENUM ({'' if text == '(no labels)' else text})",
        "domain": f"CREATE DOMAIN {name} AS {text}",
        "domain constraint": f"ALTER DOMAIN {table} ADD CONSTRAINT {part} {text}",
        "constraint": f"ALTER TABLE {table} ADD CONSTRAINT {part} {text}",
        "view": f"CREATE VIEW {name} {text.rstrip(';')}",
        "materialized view": f"CREATE MATERIALIZED VIEW {name} {text.rstrip(';')}",
        "policy": f"CREATE POLICY {part} ON {table} AS {text}",
        "index": text,
        "statistics": text,
        "function": text,
        "procedure": text,
        "trigger": text,
        "rule": text.rstrip(";"),
    }.get(kind)
    if made is None:
        raise _Unwritten
    try:
        statements = parse(made).stmts
    except NotInGrammar:
        raise _Unwritten from None
    if len(statements) != 1:
        raise _Unwritten
    return made


def _rank(kind: str, definition: str) -> str:
    return "foreign key" if kind == "constraint" and definition.startswith("FOREIGN KEY") else kind


def _grants(kind: str, name: str, difference: Difference) -> Iterator[str]:
    if kind not in _GRANTED:
        raise _Unwritten
    before, after = _said(difference.before), _said(difference.after)
    for line in [*before, *after]:
        if line.endswith((" TO OWNER", " FROM OWNER")):
            raise _Unwritten
    place = f"{_GRANTED[kind]} {name}"
    for line in before:
        if line not in after:
            yield _said_of(_taken_back(line), place)
    for line in after:
        if line not in before:
            yield _said_of(line, place)


def _taken_back(line: str) -> str:
    if line.startswith("GRANT "):
        privileges, _, who = line.removeprefix("GRANT ").partition(" TO ")
        return f"REVOKE {privileges} FROM {who.removesuffix(' WITH GRANT OPTION')}"
    privileges, _, who = line.removeprefix("REVOKE ").partition(" FROM ")
    return f"GRANT {privileges} TO {who}"


def _said_of(line: str, place: str) -> str:
    word = " TO " if line.startswith("GRANT ") else " FROM "
    privileges, _, who = line.partition(word)
    return f"{privileges} ON {place}{word}{who}"


def _said(text: str | None) -> list[str]:
    return text.split("; ") if text else []


def _place(kind: str, name: str) -> str:
    if kind in _COMMENTED:
        return f"{_COMMENTED[kind]} {name}"
    if kind in {"constraint", *_ON_TABLE}:
        table, part = split_name(name)
        return f"{kind.upper()} {part} ON {table}"
    raise _Unwritten


def _switches(text: str) -> set[str]:
    found = {" FORCE ROW LEVEL SECURITY"} if " FORCE ROW LEVEL SECURITY" in text else set()
    rest = text.replace(" FORCE ROW LEVEL SECURITY", "")
    return found | ({" ROW LEVEL SECURITY"} if " ROW LEVEL SECURITY" in rest else set())


def _columns_of(name: str, objects: Mapping[str, str]) -> list[tuple[str, str]]:
    """The columns of a table or view and their definitions."""
    begins = f"column {name}."
    found = [(o, text) for o, text in objects.items() if o.startswith(begins)]
    parts = [(split_name(o.removeprefix("column ")), text) for o, text in found]
    return [(column, text) for (table, column), text in parts if table == name]


def _views(name: str) -> tuple[str, str]:
    return f"view {name}", f"materialized view {name}"


def _named_last(
    items: Sequence[tuple[str, str]], texts: Mapping[str, str], kind: str
) -> list[tuple[str, str]]:
    """Each after those that its definition names."""
    left, done = list(items), list[tuple[str, str]]()
    while left:
        ready = [
            (name, statement)
            for name, statement in left
            if not any(other != name and other in texts.get(f"{kind} {name}", "") for other, _ in left)
        ] or left
        done += ready
        left = [item for item in left if item not in ready]
    return done


def _literals(text: str) -> list[str]:
    """The labels of an enum, quoted as they stand."""
    found, inside, start = list[str](), False, 0
    for place, sign in enumerate(text):
        if sign == "'":
            inside = not inside
            start = start if not inside or text[place - 1 : place] == "'" else place
        elif sign == "," and not inside:
            found.append(text[start:place].strip())
            start = place + 1
    return [*found, text[start:].strip()] if text and text != "(no labels)" else found


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in escaped else f"'{escaped}'"
