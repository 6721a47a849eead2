"""Functions, procedures, aggregates, and the operators and casts made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.quoting import literal

_AGGREGATE: Final = re.compile(
    r"\((?P<args>.*)\) RETURNS .*? STATE (?P<state>.*?)(?: MOVING STATE (?P<moving>.*?))?"
    r"(?: SORT OPERATOR (?P<sort>\S+)\(.*?\))? PARALLEL (?P<parallel>[a-z]) (?P<rest>\{.*\})",
    re.DOTALL,
)
_FUNCTIONS: Final = {
    "aggtransfn": "SFUNC",
    "aggfinalfn": "FINALFUNC",
    "aggcombinefn": "COMBINEFUNC",
    "aggserialfn": "SERIALFUNC",
    "aggdeserialfn": "DESERIALFUNC",
    "aggmtransfn": "MSFUNC",
    "aggminvtransfn": "MINVFUNC",
    "aggmfinalfn": "MFINALFUNC",
}
_PARALLEL: Final = {"s": "SAFE", "r": "RESTRICTED", "u": "UNSAFE"}
_MODIFY: Final = {"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}
_CAST: Final = re.compile(r"METHOD (?P<method>\w) CONTEXT (?P<context>\w)(?: FUNCTION (?P<function>.*))?")
_OPERATOR: Final = re.compile(
    r"FUNCTION (?P<function>\S+) RESTRICT (?P<restrict>\S+) JOIN (?P<join>\S+)"
    r"(?: COMMUTATOR (?P<commutator>.*?\)))?(?: NEGATOR (?P<negator>.*?\)))?"
    r"(?P<merges> MERGES)?(?P<hashes> HASHES)?"
)
_SIDES: Final = re.compile(r"(?P<name>\S+) \((?P<left>.*), (?P<right>[^,]*)\)")


def create_routine(_world: World, _who: str, text: str) -> Iterator[str]:
    """CREATE OR REPLACE as the catalogue prints it."""
    yield text


def change_routine(_world: World, _who: str, before: str, after: str) -> tuple[str, ...] | None:
    """CREATE OR REPLACE, which keeps names and types of parameters and the result."""
    return (after,) if _head(before) == _head(after) else None


def _head(text: str) -> str:
    return text.partition("\n LANGUAGE ")[0]


def drop_function(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP FUNCTION."""
    yield f"DROP FUNCTION {who}"


def drop_procedure(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP PROCEDURE."""
    yield f"DROP PROCEDURE {who}"


def create_aggregate(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE AGGREGATE."""
    found = _aggregate(text)
    rest = json.loads(found["rest"] or "{}")
    said = [f"STYPE = {found['state']}", f"PARALLEL = {_PARALLEL[found['parallel'] or 'u']}"]
    said += [f"{word} = {rest[key]}" for key, word in _FUNCTIONS.items() if rest.get(key, "-") != "-"]
    if found["moving"]:
        said.append(f"MSTYPE = {found['moving']}")
    for key, word in (("aggtransspace", "SSPACE"), ("aggmtransspace", "MSSPACE")):
        said += [f"{word} = {rest[key]}"] if rest.get(key) else []
    for key, word in (("agginitval", "INITCOND"), ("aggminitval", "MINITCOND")):
        said += [f"{word} = {literal(rest[key])}"] if rest.get(key) is not None else []
    for key, word in (("aggfinalextra", "FINALFUNC_EXTRA"), ("aggmfinalextra", "MFINALFUNC_EXTRA")):
        said += [word] if rest.get(key) else []
    for key, word in (("aggfinal", "FINALFUNC"), ("aggmfinal", "MFINALFUNC")):
        if rest.get(f"{key}fn", "-") != "-":
            said.append(f"{word}_MODIFY = {_MODIFY[rest[f'{key}modify']]}")
    if found["sort"]:
        said.append(f"SORTOP = OPERATOR({found['sort']})")
    if rest.get("aggkind") == "h":
        said.append("HYPOTHETICAL")
    yield f"CREATE AGGREGATE {_called(who)}({found['args'] or '*'}) ({', '.join(said)})"


def drop_aggregate(_world: World, who: str, text: str) -> Iterator[str]:
    """DROP AGGREGATE."""
    yield f"DROP AGGREGATE {aggregate(who, text)}"


def aggregate(who: str, text: str) -> str:
    """An aggregate as DROP and COMMENT name it."""
    return f"{_called(who)}({_aggregate(text)['args'] or '*'})"


def _aggregate(text: str) -> dict[str, str | None]:
    found = _AGGREGATE.fullmatch(text)
    if found is None:
        raise Unwritten("an aggregate of this form: write it by hand")
    return found.groupdict()


def _called(who: str) -> str:
    return who[: who.rindex("(")] if who.endswith(")") else who


def create_cast(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE CAST."""
    found = _CAST.fullmatch(text)
    if found is None:
        raise Unwritten("a cast of this form: write it by hand")
    with_function = f"WITH FUNCTION {found['function']}"
    how = {"f": with_function, "i": "WITH INOUT", "b": "WITHOUT FUNCTION"}[found["method"]]
    when = {"e": "", "a": " AS ASSIGNMENT", "i": " AS IMPLICIT"}[found["context"]]
    yield f"CREATE CAST ({who}) {how}{when}"


def drop_cast(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP CAST."""
    yield f"DROP CAST ({who})"


def create_operator(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE OPERATOR."""
    sides, found = _SIDES.fullmatch(who), _OPERATOR.fullmatch(text)
    if sides is None or found is None:
        raise Unwritten("an operator of this form: write it by hand")
    said = [f"FUNCTION = {found['function']}"]
    said += [f"{word} = {sides[side]}" for word, side in (("LEFTARG", "left"), ("RIGHTARG", "right"))
             if sides[side] != "NONE"]  # fmt: skip
    for part in ("commutator", "negator"):
        said += [f"{part.upper()} = OPERATOR({found[part].partition('(')[0]})"] if found[part] else []
    said += [f"{part.upper()} = {found[part]}" for part in ("restrict", "join") if found[part] != "-"]
    said += [part.upper() for part in ("merges", "hashes") if found[part]]
    yield f"CREATE OPERATOR {sides['name']} ({', '.join(said)})"


def drop_operator(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP OPERATOR."""
    yield f"DROP OPERATOR {who}"
