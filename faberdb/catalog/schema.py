"""A database's schema as a frozen value: every object's stable name and canonical definition.

Owns the fingerprint and the JSON form. Refuses to know how a schema is read (`faberdb.catalog.reader`)
or compared (`faberdb.catalog.difference`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Final

from faberdb.errors import Refused

# Raised whenever the reader writes the same object differently: a fingerprint on record under another
# number says nothing about today's.
FORMAT: Final = 1

# The kinds of object, in the order in which people read a difference. An object's name is its kind, a
# space and its qualified, quoted identity.
KINDS: Final = (
    "schema",
    "extension",
    "enum",
    "domain",
    "domain constraint",
    "type",
    "attribute",
    "sequence",
    "table",
    "foreign table",
    "column",
    "column order of",
    "constraint",
    "index",
    "statistics",
    "view",
    "materialized view",
    "function",
    "procedure",
    "aggregate",
    "trigger",
    "rule",
    "policy",
    "event trigger",
    "publication",
    "operator",
    "operator class",
    "operator family",
    "cast",
    "collation",
    "conversion",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "text search template",
    "language",
    "transform",
    "access method",
    "foreign-data wrapper",
    "server",
    "default privileges",
    "owner of",
    "grants on",
    "comment on",
)
_LONGEST_FIRST: Final = tuple(sorted(KINDS, key=len, reverse=True))
_INVALID: Final = " INVALID"


def kind_of(name: str) -> str:
    """The kind that an object's name begins with."""
    return next((kind for kind in _LONGEST_FIRST if name.startswith(kind + " ")), name.split(" ", 1)[0])


class OtherFormat(Refused):
    """A recorded schema of a version that wrote the same objects differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A whole schema. Two are equal when their fingerprints are."""

    objects: Mapping[str, str] = field(compare=False, repr=False)  # name -> canonical definition
    fingerprint: str = field(init=False)  # SHA-256 of the canonical JSON, 64 hex digits

    def __post_init__(self) -> None:
        objects = dict(sorted(self.objects.items()))
        object.__setattr__(self, "objects", MappingProxyType(objects))
        object.__setattr__(self, "fingerprint", hashlib.sha256(_canonical(objects)).hexdigest())

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (dict(self.objects),))

    def without(self, kinds: Collection[str]) -> Schema:
        """The same schema with some kinds left out.

        `without({"owner of", "grants on"})` is what remains comparable between servers whose roles differ.
        """
        return Schema(objects={k: v for k, v in self.objects.items() if kind_of(k) not in kinds})

    def as_restored(self) -> Schema:
        """What a dump of this schema restores to: `pg_dump` leaves an invalid index out."""
        lost = {k for k, v in self.objects.items() if kind_of(k) == "index" and v.endswith(_INVALID)}
        lost |= {f"comment on {k}" for k in lost}
        return Schema(objects={k: v for k, v in self.objects.items() if k not in lost})

    def to_json(self) -> str:
        """The canonical JSON with its format number and fingerprint."""
        body = {"format": FORMAT, "fingerprint": self.fingerprint, "objects": dict(self.objects)}
        return json.dumps(body, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read `to_json`'s text back.

        Raises:
            OtherFormat: another version of faber-db wrote it.
            Refused: it is no such text, or was altered since it was written.
        """
        try:
            body = json.loads(text)
            form, expected, objects = body["format"], body["fingerprint"], body["objects"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused("This is no recorded schema.", why=f"{type(error).__name__}: {error}") from None
        if form != FORMAT:
            raise OtherFormat(
                f"The recorded schema has format {form}; this version reads {FORMAT}.",
                why="Another version of faber-db wrote it.",
                next_step="the next release records it again",
            )
        schema = cls(objects=objects)
        if schema.fingerprint != expected:
            raise Refused("The recorded schema was altered.", why="Its fingerprint is not its objects'.")
        return schema


def _rebuild(objects: dict[str, str]) -> Schema:
    return Schema(objects=objects)


def _canonical(objects: Mapping[str, str]) -> bytes:
    """The canonical JSON of objects that are in order, put together here: `json` takes twice as long for so many."""
    text = ",".join(
        [f"{encode_basestring(name)}:{encode_basestring(said)}" for name, said in objects.items()]
    )
    return f'{{"format":{FORMAT},"objects":{{{text}}}}}'.encode("utf-8", "surrogatepass")
