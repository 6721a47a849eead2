"""Text search: configurations of the server's own parser, and dictionaries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from faberdb.synthesis.kind import Unwritten, World

# The token types of pg_catalog."default" from 1 on (PostgreSQL source, wparser_def.c, tok_alias).
_TOKENS: Final = (
    *(
        "asciiword",
        "word",
        "numword",
        "email",
        "url",
        "host",
        "sfloat",
        "version",
        "hword_numpart",
        "hword_part",
    ),
    *(
        "hword_asciipart",
        "blank",
        "tag",
        "protocol",
        "numhword",
        "asciihword",
        "hword",
        "url_path",
        "file",
        "float",
    ),
    *("int", "uint", "entity"),
)
_CONFIGURATION: Final = re.compile(r"PARSER (?P<parser>\S+)(?: MAPPING \((?P<mapping>.*)\))?", re.DOTALL)
_DICTIONARY: Final = re.compile(r"TEMPLATE (?P<template>\S+)(?: (?P<options>.*))?", re.DOTALL)


def create_configuration(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE TEXT SEARCH CONFIGURATION and its mappings."""
    found = _CONFIGURATION.fullmatch(text)
    if found is None or found["parser"] != 'pg_catalog."default"':
        raise Unwritten("a text search configuration with a parser of its own: write it by hand")
    yield f"CREATE TEXT SEARCH CONFIGURATION {who} (PARSER = {found['parser']})"
    pairs = [pair.partition(" ") for pair in (found["mapping"] or "").split(", ") if pair]
    for token, group in groupby(pairs, key=lambda pair: pair[0]):
        words = ", ".join(dictionary for _, _, dictionary in group)
        yield f"ALTER TEXT SEARCH CONFIGURATION {who} ADD MAPPING FOR {_TOKENS[int(token) - 1]} WITH {words}"


def drop_configuration(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP TEXT SEARCH CONFIGURATION."""
    yield f"DROP TEXT SEARCH CONFIGURATION {who}"


def create_dictionary(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE TEXT SEARCH DICTIONARY."""
    found = _DICTIONARY.fullmatch(text)
    if found is None:
        raise Unwritten("a text search dictionary of this form: write it by hand")
    options = f", {found['options']}" if found["options"] else ""
    yield f"CREATE TEXT SEARCH DICTIONARY {who} (TEMPLATE = {found['template']}{options})"


def drop_dictionary(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP TEXT SEARCH DICTIONARY."""
    yield f"DROP TEXT SEARCH DICTIONARY {who}"
