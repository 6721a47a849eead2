"""A script taken apart into scripts that run one after the other, each without making others wait for long."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from faberdb.safer.forms import safer_form
from faberdb.statements import fits_one_transaction, parse_script


class Parts(Struct, frozen=True, kw_only=True):
    """The scripts that take one script's place."""

    scripts: tuple[str, ...]
    why: tuple[str, ...]  # what the script as it is does to an application


def safer_parts(script: str, *, source: str) -> Parts | None:
    """The parts of a script, in the order of its statements; validations come last.

    Returns:
        None where nothing is gained, and for a script that controls its transactions, sets parameters or
        runs code: what each of its statements depends on cannot be judged.

    Raises:
        UnreadableSql: it is not PostgreSQL.
    """
    statements = parse_script(script, source=source)
    if not fits_one_transaction(statements) or any(
        s.opaque or s.verb in {"SET", "RESET"} for s in statements
    ):
        return None
    forms = [(s, safer_form(s.text) if s.lock else None) for s in statements]
    if not any(form for _, form in forms):
        return None
    scripts: list[list[str]] = [[]]
    for statement, form in forms:
        if form is None:
            scripts[-1].append(statement.text)
            continue
        scripts[-1] += form.quick
        for text in form.alone:
            scripts += [[text], []]
        scripts[-1] += form.then
    scripts.append([text for _, form in forms if form for text in form.validate])
    scripts.append([text for _, form in forms if form for text in form.finish])
    return Parts(
        scripts=tuple(_script(texts) for texts in scripts if texts),
        why=tuple(text for _, form in forms if form for text in form.why),
    )


def _script(texts: Sequence[str]) -> str:
    return "".join(f"{text.rstrip().rstrip(';')};\n" for text in texts)
