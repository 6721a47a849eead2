"""One schema's objects, and which of them each definition names.

The catalogue prints every name that is not the server's own with its schema, so a definition's names are found in
its text. Where that is not exact (a column's bare name, one of several functions of a name) more is found than is
there, never less: an object too many is made again, none is forgotten. Refuses to know what becomes of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.parts import ABOUT, PARTS, identity, kind

_NAME: Final = r'(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
_NAMES: Final = re.compile(rf"{_NAME}(?:\.(?:{_NAME}|\*))*")
_PART: Final = re.compile(rf"{_NAME}|\*")
_RELATIONS: Final = ("table", "view", "materialized view", "foreign table")
_ON_RELATION: Final = {"column", "constraint", "trigger", "rule", "policy"}
_OF_TYPE: Final = {"attribute": "type", "domain constraint": "domain"}
_OF_COLUMNS: Final = {
    *_ON_RELATION,
    "index",
    "statistics",
    "view",
    "materialized view",
    "publication",
    "function",
}
_UNIQUE: Final = re.compile(r"(?:PRIMARY KEY|UNIQUE) .*?\(([^()]*)\)")
_FOREIGN: Final = re.compile(r"FOREIGN KEY \([^()]*\) REFERENCES .*?\(([^()]*)\)")


class Side:
    """The schema at one end of the way, taken apart."""

    def __init__(self, objects: Mapping[str, str]) -> None:
        self.objects = objects
        self.columns: dict[str, list[str]] = defaultdict(list)  # of a relation, each the column's whole name
        self.attributes: dict[str, list[str]] = defaultdict(list)  # of a composite type
        self.keys: dict[str, list[str]] = defaultdict(list)  # of a table: its constraints
        self.sequence_of: dict[str, str] = {}  # of an identity column
        self._named: dict[str, list[str]] = defaultdict(list)
        self._found: dict[str, tuple[str, ...]] = {}
        for name, text in objects.items():
            what, who = kind(name), identity(name)
            if what in _ON_RELATION:
                relation, _ = split_name(who)
                if what in {"column", "constraint"}:
                    (self.columns if what == "column" else self.keys)[relation].append(name)
            elif what == "attribute":
                self.attributes[split_name(who)[0]].append(name)
            elif what not in {*ABOUT, *PARTS, "domain constraint"}:
                parts = _PART.findall(who.partition("(")[0])
                if len(parts) == 2:
                    self._named[".".join(parts)].append(name)
            if what == "sequence" and " IDENTITY OF " in text:
                self.sequence_of["column " + text.partition(" IDENTITY OF ")[2]] = name

    def relation(self, who: str) -> str:
        """The whole name of the table or view of an identity, "" for none."""
        return next((n for what in _RELATIONS if (n := f"{what} {who}") in self.objects), "")

    def parents(self, table: str) -> list[str]:
        """The tables that a table is a partition or an heir of."""
        attached = self.objects.get(f"attachment of table {table}", "")
        heir = self.objects.get(f"inheritance of table {table}", "")
        found = [".".join(_PART.findall(n)) for n in _NAMES.findall(heir)]
        return found + [n for n in _NAMES.findall(attached)[:1] if n]

    def subject(self, name: str) -> str:
        """The object that takes this one along when it goes, "" for none."""
        what, who = kind(name), identity(name)
        if what in ABOUT or what in PARTS:
            return who.removeprefix("index of ")
        if what in _ON_RELATION:
            return self.relation(split_name(who)[0])
        if what in _OF_TYPE:
            return f"{_OF_TYPE[what]} {split_name(who)[0]}"
        if what in {"index", "statistics"}:
            return next((n for n in self.references(name) if kind(n) in _RELATIONS), "")
        return self._owner(name) if what == "sequence" else ""

    def _owner(self, sequence: str) -> str:
        identity_of = self.objects[sequence].partition(" IDENTITY OF ")[2]
        column = identity_of or self.objects.get(f"owned by of {sequence}", "")
        return f"column {column}" if column else ""

    def references(self, name: str) -> tuple[str, ...]:
        """What an object's definition names, in the order of the text."""
        if name not in self._found:
            self._found[name] = tuple(dict.fromkeys(n for n in self._search(name) if n and n != name))
        return self._found[name]

    def _search(self, name: str) -> Iterator[str]:
        what, who = kind(name), identity(name)
        if what in ABOUT:
            yield self.subject(name)
            return
        text = self.objects[name].partition("\nAS $")[0]
        words, relations = set[str](), list[str]()
        if what in PARTS:
            yield who
        elif what in _ON_RELATION or what in _OF_TYPE:
            owner = split_name(who)[0]
            subject = self.relation(owner) if what in _ON_RELATION else self.subject(name)
            yield subject
            relations.append(owner)
        if what not in {*PARTS, "schema"} and len(parts := _PART.findall(who)) > 1:
            yield self._schema(parts[0])
        for found in _NAMES.findall(text):
            parts = _PART.findall(found)
            words.update(parts)
            for pair in pairwise(parts):
                named = self._named.get(".".join(pair), [])
                yield from named
                relations += [".".join(pair) for n in named if kind(n) in _RELATIONS]
        if what in _OF_COLUMNS or (what == "default of" and kind(who) == "column"):
            yield from self._columns(relations, words)
        if what == "owned by of" or (what == "sequence" and " IDENTITY OF " in text):
            yield "column " + text.rpartition(" OF ")[2] if what == "sequence" else f"column {text}"
        if what == "constraint":
            yield from self._key(text, relations)
        elif what in {"view", "materialized view"} and " GROUP BY " in text:
            # Grouped by a primary key, it shows the other columns too, and stands on the key.
            keys = [key for relation in relations for key in self.keys.get(relation, [])]
            yield from (key for key in keys if self.objects[key].startswith("PRIMARY KEY"))

    def _schema(self, part: str) -> str:
        return name if (name := f"schema {part}") in self.objects else ""

    def _columns(self, relations: list[str], words: set[str]) -> Iterator[str]:
        for relation in dict.fromkeys(relations):
            for column in self.columns.get(relation, []):
                if "*" in words or split_name(identity(column))[1] in words:
                    yield column

    def _key(self, text: str, relations: list[str]) -> Iterator[str]:
        """The key that a foreign key points to."""
        if (foreign := _FOREIGN.match(text)) is None:
            return
        wanted = set(foreign[1].split(", "))
        for relation in relations[1:]:
            for key in self.keys.get(relation, []):
                unique = _UNIQUE.match(self.objects[key])
                if unique is not None and set(unique[1].split(", ")) == wanted:
                    yield key
