"""Triggers, rules, policies and event triggers, and the state in which each fires."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.kind import Kind, Unwritten, World
from faberdb.synthesis.parts import identity, kind
from faberdb.synthesis.quoting import literal

_EVENT: Final = re.compile(r"ON (?P<event>\w+)(?: WHEN TAG IN \((?P<tags>.*)\))? EXECUTE (?P<function>\S+)")
_STATES: Final = {
    "DISABLED": "DISABLE",
    "ENABLED REPLICA": "ENABLE REPLICA",
    "ENABLED ALWAYS": "ENABLE ALWAYS",
}


def create_trigger(_world: World, _who: str, text: str) -> Iterator[str]:
    """CREATE TRIGGER or RULE as the catalogue prints it."""
    yield text.rstrip(";")


def create_policy(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE POLICY."""
    table, part = split_name(who)
    yield f"CREATE POLICY {part} ON {table} AS {text}"


def on_table(word: str) -> Kind:
    """A trigger, rule or policy, which is named with its table."""

    def drop(_world: World, who: str, _text: str) -> Iterator[str]:
        table, part = split_name(who)
        yield f"DROP {word} {part} ON {table}"

    return Kind(create=create_policy if word == "POLICY" else create_trigger, drop=drop)


def create_event_trigger(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE EVENT TRIGGER."""
    found = _EVENT.fullmatch(text)
    if found is None:
        raise Unwritten("an event trigger of this form: write it by hand")
    tags = ", ".join(literal(tag) for tag in (found["tags"] or "").split(", ") if tag)
    when = f" WHEN TAG IN ({tags})" if tags else ""
    yield f"CREATE EVENT TRIGGER {who} ON {found['event']}{when} EXECUTE FUNCTION {found['function']}()"


def drop_event_trigger(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP EVENT TRIGGER."""
    yield f"DROP EVENT TRIGGER {who}"


def put_state(_world: World, subject: str, text: str) -> Iterator[str]:
    """DISABLE, ENABLE REPLICA or ENABLE ALWAYS."""
    yield _set(subject, _STATES[text])


def usual_state(_world: World, subject: str, _text: str) -> Iterator[str]:
    """ENABLE."""
    yield _set(subject, "ENABLE")


def change_state(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """One for the other."""
    return put_state(world, subject, after)


def _set(subject: str, word: str) -> str:
    what, who = kind(subject), identity(subject)
    if what == "event trigger":
        return f"ALTER EVENT TRIGGER {who} {word}"
    table, part = split_name(who)
    return f"ALTER TABLE {table} {word} {what.upper()} {part}"
