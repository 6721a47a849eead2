"""What is said about objects: owners, grants, comments, and the privileges that new ones are born with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.parts import identity, kind
from faberdb.synthesis.quoting import literal
from faberdb.synthesis.routines import aggregate

_WORDS: Final = {
    "enum": "TYPE",
    "domain": "DOMAIN",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "attribute": "COLUMN",
}
_ON_TABLE: Final = {"constraint", "trigger", "rule", "policy"}
_GRANTED: Final = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "foreign table": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "sequence": "SEQUENCE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "FUNCTION",
    "enum": "TYPE",
    "domain": "DOMAIN",
    "type": "TYPE",
    "language": "LANGUAGE",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "server": "FOREIGN SERVER",
}
_BORN_AS: Final = {
    "SCHEMA": "SCHEMAS",
    "TABLE": "TABLES",
    "SEQUENCE": "SEQUENCES",
    "FUNCTION": "FUNCTIONS",
    "PROCEDURE": "FUNCTIONS",
    "TYPE": "TYPES",
    "DOMAIN": "TYPES",
}
_DEFAULTS: Final = re.compile(r"(?P<whose>FOR ROLE .*?(?: IN SCHEMA .*?)?) ON (?P<what>[A-Z]+)")
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


def with_silence(objects: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The objects with an empty list of grants where there is none: default privileges may have to be taken back."""
    if not any(kind(name) == "default privileges" for name in (*objects, *other)):
        return dict(objects)
    silent = {f"grants on {name}": "" for name in objects if kind(name) in _BORN_KINDS}
    return {**silent, **objects}


def create_owner(world: World, subject: str, owner: str) -> Iterator[str]:
    """OWNER TO, unless who creates it owns it."""
    owned = " IDENTITY OF " in world.after.objects[subject]
    if owner != world.login and not owned:
        yield f"ALTER {place(world, subject)} OWNER TO {role(owner)}"


def change_owner(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """OWNER TO; a sequence follows the table of its column."""
    linked = f"owned by of {subject}"
    follows = linked in world.before.objects and linked in world.after.objects
    if not follows and " IDENTITY OF " not in world.after.objects[subject]:
        yield f"ALTER {place(world, subject)} OWNER TO {role(after)}"


def create_comment(world: World, subject: str, text: str) -> Iterator[str]:
    """COMMENT ON."""
    yield f"COMMENT ON {place(world, subject)} IS {literal(text)}"


def drop_comment(world: World, subject: str, _text: str) -> Iterator[str]:
    """COMMENT ON ... IS NULL."""
    yield f"COMMENT ON {place(world, subject)} IS NULL"


def change_comment(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """Another text."""
    return create_comment(world, subject, after)


def create_grants(world: World, subject: str, text: str) -> Iterator[str]:
    """What a new object's list of privileges lacks, or has too much by default privileges."""
    made = subject not in world.before.objects or subject in world.anew
    return _between(world, subject, _born_with(world, subject) if made else "", text)


def drop_grants(world: World, subject: str, text: str) -> Iterator[str]:
    """Back to what objects are born with."""
    return _between(world, subject, text, "")


def change_grants(world: World, subject: str, before: str, after: str) -> Iterator[str]:
    """Only what differs."""
    return _between(world, subject, before, after)


def _between(world: World, subject: str, before: str, after: str) -> Iterator[str]:
    what, who, column = kind(subject), identity(subject), ""
    if what == "column":
        who, column = split_name(who)
        what = "table"
    if what not in _GRANTED:
        raise Unwritten(f"privileges on a {what}: write GRANT or REVOKE by hand")
    if what == "aggregate":
        who = aggregate(who, world.after.objects[subject])
    owned = world.after.relation(who) if column else subject
    owner = world.after.objects.get(f"owner of {owned}", "")
    yield from _said_between(before, after, f"{_GRANTED[what]} {who}", owner, column)


def _said_between(before: str, after: str, where: str, owner: str, column: str = "") -> Iterator[str]:
    old, new = _lines(before), _lines(after)
    for line in old:
        if line not in new:
            yield _put(_taken_back(line), where, owner, column)
    for line in new:
        if line not in old:
            yield _put(line, where, owner, column)


def _born_with(world: World, subject: str) -> str:
    """The text of the default privileges under which the login creates an object."""
    what = _BORN_AS.get(_GRANTED.get(kind(subject), ""), "")
    if not what or not world.login:
        return ""
    whose = f"default privileges FOR ROLE {role(world.login)}"
    schema = identity(subject).partition(".")[0]
    found = [
        world.before.objects.get(f"{whose}{where} ON {what}", "") for where in ("", f" IN SCHEMA {schema}")
    ]
    return "; ".join(text for text in found if text)


def create_defaults(_world: World, who: str, text: str) -> Iterator[str]:
    """ALTER DEFAULT PRIVILEGES."""
    return _defaults(who, "", text)


def drop_defaults(_world: World, who: str, text: str) -> Iterator[str]:
    """Back to the server's own."""
    return _defaults(who, text, "")


def change_defaults(_world: World, who: str, before: str, after: str) -> Iterator[str]:
    """Only what differs."""
    return _defaults(who, before, after)


def _defaults(who: str, before: str, after: str) -> Iterator[str]:
    found = _DEFAULTS.fullmatch(who)
    if found is None:
        raise Unwritten("default privileges of this form: write them by hand")
    owner = found["whose"].removeprefix("FOR ROLE ").partition(" IN SCHEMA ")[0]
    for statement in _said_between(before, after, found["what"], owner.strip('"').replace('""', '"')):
        yield f"ALTER DEFAULT PRIVILEGES {found['whose']} {statement}"


def _taken_back(line: str) -> str:
    if line.startswith("GRANT "):
        privileges, _, who = line.removeprefix("GRANT ").partition(" TO ")
        return f"REVOKE {privileges} FROM {who.removesuffix(' WITH GRANT OPTION')}"
    privileges, _, who = line.removeprefix("REVOKE ").partition(" FROM ")
    return f"GRANT {privileges} TO {who}"


def _put(line: str, where: str, owner: str, column: str) -> str:
    word = " TO " if line.startswith("GRANT ") else " FROM "
    said, _, who = line.partition(word)
    if who == "OWNER":
        who = role(owner)
    if column:
        verb, _, privileges = said.partition(" ")
        said = f"{verb} " + ", ".join(f"{privilege} ({column})" for privilege in privileges.split(", "))
    return f"{said} ON {where}{word}{who}"


def _lines(text: str) -> list[str]:
    return text.split("; ") if text else []


def role(name: str) -> str:
    """A role as the catalogue quotes it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def place(world: World, subject: str) -> str:
    """An object as COMMENT ON and ALTER name it."""
    index, subject = subject.startswith("index of "), subject.removeprefix("index of ")
    what, who = kind(subject), identity(subject)
    if index:
        table, part = split_name(who)
        return f"INDEX {split_name(table)[0]}.{part}"
    if what in _ON_TABLE:
        table, part = split_name(who)
        return f"{what.upper()} {part} ON {table}"
    if what == "domain constraint":
        domain, part = split_name(who)
        return f"CONSTRAINT {part} ON DOMAIN {domain}"
    if what == "aggregate":
        side = world.after if subject in world.after.objects else world.before
        return f"AGGREGATE {aggregate(who, side.objects[subject])}"
    if what == "cast":
        return f"CAST ({who})"
    return f"{_WORDS.get(what, what.upper())} {who}"


_BORN_KINDS: Final = frozenset(k for k, word in _GRANTED.items() if word in _BORN_AS)
