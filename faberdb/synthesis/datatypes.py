"""Types: enums, domains, composites, ranges and collations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.column_text import column_text
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.quoting import literal

_LABEL: Final = re.compile(r"E?'(?:[^']|'')*'")
_RANGE: Final = re.compile(
    r"RANGE OF (?P<subtype>.*?)(?: OPERATOR CLASS (?P<subtype_opclass>\S+))?(?: COLLATE (?P<collation>\S+))?"
    r"(?: CANONICAL (?P<canonical>\S+))?(?: DIFFERENCE (?P<subtype_diff>\S+))?"
    r"(?: MULTIRANGE (?P<multirange_type_name>.*))?"
)
_COLLATION: Final = re.compile(
    r"PROVIDER (?P<provider>\w)(?P<loose> NONDETERMINISTIC)?(?: ENCODING \S+)?"
    r"(?: COLLATE (?P<lc_collate>\S+) CTYPE (?P<lc_ctype>\S+))?(?: LOCALE (?P<locale>\S+))?(?: RULES (?P<rules>.*))?",
    re.DOTALL,
)
_PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}


def create_enum(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE TYPE AS ENUM."""
    yield f"CREATE TYPE {who} AS ENUM ({'' if text == '(no labels)' else text})"


def drop_type(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP TYPE, of an enum, a composite or a range."""
    yield f"DROP TYPE {who}"


def change_enum(world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """New labels may come in between; where one goes, or moves, the type is made anew."""
    old, new = _LABEL.findall(before), _LABEL.findall(after)
    if [label for label in new if label in old] != old:
        return None
    for label in new:
        if label not in old:
            _unused(world, who, label)
    return tuple(_added(who, old, new))


def _added(who: str, old: list[str], new: list[str]) -> Iterator[str]:
    for number, label in enumerate(new):
        if label not in old:
            later = next((x for x in new[number:] if x in old), "")
            yield f"ALTER TYPE {who} ADD VALUE {label}{f' BEFORE {later}' if later else ''}"


def _unused(world: World, who: str, label: str) -> None:
    """A new label is of use only when the transaction that adds it has ended."""
    for name, text in world.after.objects.items():
        if f"{label}::{who}" in text and world.before.objects.get(name) != text:
            raise Unwritten(
                f"{name} uses the new label {label}, which PostgreSQL allows only in a later transaction: "
                "write ALTER TYPE ... ADD VALUE in a revision of its own, released before the rest"
            )


def create_domain(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE DOMAIN; its checks are added."""
    yield f"CREATE DOMAIN {who} AS {text}"


def drop_domain(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP DOMAIN."""
    yield f"DROP DOMAIN {who}"


def change_domain(_world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """NOT NULL comes and goes; the default is a part of its own."""
    old, new = column_text(before), column_text(after)
    if old is None or new is None or old.type != new.type:
        return None
    return (f"ALTER DOMAIN {who} {'SET' if new.required else 'DROP'} NOT NULL",)


def create_composite(world: World, who: str, text: str) -> Iterator[str]:
    """CREATE TYPE AS, or AS RANGE."""
    if text == "COMPOSITE":
        found = attributes(world.after.objects, who)
        inside = ", ".join(f"{name} {kind}" for name, kind in found)
        yield f"CREATE TYPE {who} AS ({inside})"
        return
    range_ = _RANGE.fullmatch(text)
    if range_ is None:
        raise Unwritten("a base type: it is made of C functions; write it by hand")
    said = ", ".join(f"{word} = {value}" for word, value in range_.groupdict().items() if value)
    yield f"CREATE TYPE {who} AS RANGE ({said})"


def attributes(objects: Mapping[str, str], who: str) -> list[tuple[str, str]]:
    """A composite's attributes and types in their order."""
    found = []
    for name, text in objects.items():
        if name.startswith(f"attribute {who}.") and split_name(name.removeprefix("attribute "))[0] == who:
            place, _, kind = text.partition(": ")
            found.append((int(place), split_name(name)[1], kind))
    return [(name, kind) for _, name, kind in sorted(found)]


def create_attribute(world: World, who: str, text: str) -> Iterator[str]:
    """ADD ATTRIBUTE, which puts it last."""
    _in_order(world, who)
    type_name, part = split_name(who)
    yield f"ALTER TYPE {type_name} ADD ATTRIBUTE {part} {text.partition(': ')[2]}"


def drop_attribute(world: World, who: str, _text: str) -> Iterator[str]:
    """DROP ATTRIBUTE."""
    _in_order(world, who)
    type_name, part = split_name(who)
    yield f"ALTER TYPE {type_name} DROP ATTRIBUTE {part}"


def change_attribute(world: World, who: str, before: str, after: str) -> Iterator[str]:
    """ALTER ATTRIBUTE; its place follows from the others."""
    _in_order(world, who)
    type_name, part = split_name(who)
    old, new = before.partition(": ")[2], after.partition(": ")[2]
    if old != new:
        yield f"ALTER TYPE {type_name} ALTER ATTRIBUTE {part} TYPE {new}"


def _in_order(world: World, who: str) -> None:
    type_name, _ = split_name(who)
    old = [name for name, _ in attributes(world.before.objects, type_name)]
    new = [name for name, _ in attributes(world.after.objects, type_name)]
    kept = [name for name in old if name in new]
    if new[: len(kept)] != kept:
        raise Unwritten(
            "an attribute between others, or in another place: PostgreSQL adds them last, and a row value goes by "
            "place. Make the type anew by hand"
        )


def create_collation(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE COLLATION."""
    found = _COLLATION.fullmatch(text)
    if found is None or found["provider"] not in _PROVIDERS:
        raise Unwritten("a collation of this form: write it by hand")
    said = [f"PROVIDER = {_PROVIDERS[found['provider']]}"]
    for word in ("lc_collate", "lc_ctype", "locale", "rules"):
        said += [f"{word.upper()} = {literal(found[word])}"] if found[word] else []
    said += ["DETERMINISTIC = false"] if found["loose"] else []
    yield f"CREATE COLLATION {who} ({', '.join(said)})"


def drop_collation(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP COLLATION."""
    yield f"DROP COLLATION {who}"
