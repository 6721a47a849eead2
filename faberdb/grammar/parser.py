"""PostgreSQL's own parser, from the `postgast` package: the only module that knows it.

Loaded by name, because the package's type stubs name a field `def`, which no type checker can read; and when it
is first used, because that takes 50 ms, and a look at an environment parses nothing.
"""

from __future__ import annotations

import importlib
from typing import Any, Final


class _OnFirstUse:
    """A module that is imported when something of it is first asked for, which then stays here."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


_package: Final[Any] = _OnFirstUse("postgast")
pb: Final[Any] = _OnFirstUse("postgast.pg_query_pb2")  # the parse tree's names


class NotInGrammar(Exception):
    """PostgreSQL's grammar does not accept the text."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position  # in characters from 1, 0 where the parser says none


def normalised(script: str) -> str:
    """The same statements with `$1`, `$2`, ... in place of their constants.

    Raises:
        NotInGrammar: it is not PostgreSQL.
    """
    try:
        return str(_package.normalize(script))
    except _package.PgQueryError as error:
        raise NotInGrammar(error.message, error.cursorpos) from None


def is_keyword(word: str) -> bool:
    """Whether a plain name has to be quoted, as PostgreSQL's own quote_ident has it."""
    kinds = {token.keyword_kind for token in _package.scan(word).tokens}
    return not kinds <= {pb.NO_KEYWORD, pb.UNRESERVED_KEYWORD}


def comments(script: str) -> list[tuple[str, int]]:
    """The comments that begin with two hyphens, each with its line from 1; not what a quoted text holds."""
    raw = script.encode()
    kind = pb.SQL_COMMENT
    found = [t for t in _package.scan(script).tokens if t.token == kind]
    return [(raw[t.start : t.end].decode(), raw.count(b"\n", 0, t.start) + 1) for t in found]


def long_names(script: str) -> list[str]:
    """The names that PostgreSQL cuts; a parse tree has them cut already."""
    raw = script.encode()
    found = [raw[t.start : t.end] for t in _package.scan(script).tokens if t.token == pb.IDENT]
    return [name.decode() for name in found if len(name.strip(b'"')) > 63]


def written(tree: Any) -> str:
    """A parse tree as SQL."""
    return str(_package.deparse(tree))


def parse(script: str) -> Any:
    """The parse tree: `stmts`, each with `stmt`, `stmt_location` and `stmt_len` in bytes of UTF-8.

    Raises:
        NotInGrammar: it is not PostgreSQL.
    """
    try:
        return _package.parse(script)
    except _package.PgQueryError as error:
        raise NotInGrammar(error.message, error.cursorpos) from None
