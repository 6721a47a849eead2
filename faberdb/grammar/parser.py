"""PostgreSQL's own parser, from the `postgast` package: the only module that knows it.

Loaded by name, because the package's type stubs name a field `def`, which no type checker can read.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

_package: Final[Any] = importlib.import_module("postgast")
pb: Final[Any] = importlib.import_module("postgast.pg_query_pb2")  # the parse tree's names


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
