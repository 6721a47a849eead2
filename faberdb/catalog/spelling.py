"""One spelling for what PostgreSQL itself spells in two ways.

`varchar_column IN ('a', 'b')` is stored as a cast of a whole array, and printed
`(ARRAY['a'::character varying, 'b'::character varying])::text[]`. Reading that text back pushes the cast
into the elements, and the same condition is then printed
`ARRAY[('a'::character varying)::text, ('b'::character varying)::text]`. So a dump and restore changes
the text of a constraint, index or view and not its meaning. The second form is the fixed point
(PostgreSQL source, parse_expr.c, transformTypeCast); this module rewrites the first into it.

Only for text that PostgreSQL printed from a stored tree: it holds no comment and no dollar quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CAST_ARRAY = "(ARRAY["
_MARK = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()\[\],]""")
_CAST = re.compile(r'\)::((?:[\w .]|"(?:[^"]|"")*"|\([0-9, ]*\))+?)\[\]')


def canonical(definition: str) -> str:
    """The definition with every cast of an array constructor pushed into its elements."""
    if _CAST_ARRAY not in definition:
        return definition
    text, start = definition, 0
    while (place := _next_cast(text, start)) is not None:
        start = place + 1
        end = _matching(text, place)
        cast = _CAST.match(text, end) if end is not None else None
        if end is not None and cast is not None:
            inner = text[place + len(_CAST_ARRAY) : end - 1]
            text = text[:place] + _push(inner, cast.group(1)) + text[cast.end() :]
    return text


def canonical_function(definition: str) -> str:
    """The same for a function: a body in dollar quotes is its author's text and stays as it is."""
    head, mark, body = definition.partition("\nAS $")
    return canonical(head) + mark + body


def _push(inner: str, type_name: str) -> str:
    """`ARRAY[...]` of the elements in `inner`, each cast to the type; nested constructors too."""
    cast = [
        _push(e[len("ARRAY[") : -1], type_name) if _is_array(e) else f"({e})::{type_name}"
        for e in _elements(inner)
    ]
    return f"ARRAY[{', '.join(cast)}]"


def _is_array(element: str) -> bool:
    return element.startswith("ARRAY[") and _matching(element, len("ARRAY")) == len(element) - 1


def _next_cast(text: str, start: int) -> int | None:
    if text.find(_CAST_ARRAY, start) < 0:
        return None
    return next((i for i, _ in _marks(text, start) if text.startswith(_CAST_ARRAY, i)), None)


def _matching(text: str, opening: int) -> int | None:
    """Where the bracket opened at `opening` is closed."""
    depth = 0
    for i, mark in _marks(text, opening):
        depth += (mark in "([") - (mark in ")]")
        if depth == 0:
            return i
    return None


def _elements(inner: str) -> Iterator[str]:
    """What stands between the commas outside of brackets and quotes."""
    depth, last = 0, 0
    for i, mark in _marks(inner, 0):
        depth += (mark in "([") - (mark in ")]")
        if mark == "," and depth == 0:
            yield inner[last:i].strip()
            last = i + 1
    yield inner[last:].strip()


def _marks(text: str, start: int) -> Iterator[tuple[int, str]]:
    """Brackets and commas with their places; `start` is itself outside of quotes."""
    for found in _MARK.finditer(text, start):
        if found.group() in {"(", ")", "[", "]", ","}:
            yield found.start(), found.group()
