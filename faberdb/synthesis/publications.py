"""Publications: changed in place, so that those who subscribed lose nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.synthesis.kind import Unwritten, World

_TEXT: Final = re.compile(
    r"(?P<all>FOR ALL TABLES )?(?:FOR TABLES \((?P<tables>.*)\) ?)??(?:FOR SCHEMAS \((?P<schemas>[^()]*)\) )?"
    r"PUBLISH(?P<acts>(?: insert| update| delete| truncate)*)(?P<root> VIA PARTITION ROOT)?"
    r"(?: GENERATED COLUMNS (?P<generated>\w))?",
    re.DOTALL,
)


def create_publication(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE PUBLICATION."""
    found = _parsed(text)
    what = "ALL TABLES" if found["all"] else _objects(found)
    yield f"CREATE PUBLICATION {who}{f' FOR {what}' if what else ''} WITH ({_options(found)})"


def drop_publication(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP PUBLICATION."""
    yield f"DROP PUBLICATION {who}"


def change_publication(_world: World, who: str, before: str, after: str) -> Iterator[str]:
    """ALTER PUBLICATION: what it tells, and of which tables."""
    old, new = _parsed(before), _parsed(after)
    if old["all"] != new["all"] or (_objects(old) and not _objects(new)):
        raise Unwritten(
            "a publication FOR ALL TABLES, or of none, is another one: subscribers would have to begin anew; "
            "drop and create it by hand, with them"
        )
    if _objects(old) != _objects(new):
        yield f"ALTER PUBLICATION {who} SET {_objects(new)}"
    if _options(old) != _options(new):
        yield f"ALTER PUBLICATION {who} SET ({_options(new)})"


def _objects(found: dict[str, str | None]) -> str:
    tables = f"TABLE {found['tables']}" if found["tables"] else ""
    schemas = f"TABLES IN SCHEMA {found['schemas']}" if found["schemas"] else ""
    return ", ".join(part for part in (tables, schemas) if part)


def _options(found: dict[str, str | None]) -> str:
    said = [f"publish = '{', '.join((found['acts'] or '').split())}'"]
    said.append(f"publish_via_partition_root = {'true' if found['root'] else 'false'}")
    if found["generated"]:
        said.append("publish_generated_columns = stored")
    return ", ".join(said)


def _parsed(text: str) -> dict[str, str | None]:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Unwritten("a publication of this form: write it by hand")
    return found.groupdict()
