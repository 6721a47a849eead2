"""What a script changes beyond its own database: roles, settings, other databases, other servers, files.

A copy on the same server does not keep such a statement in: tried there, it is done for real, before anybody agreed.
Judges what the grammar and the words show; what code puts together while it runs is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from faberdb.config.model import Hosting
from faberdb.errors import Refused
from faberdb.statements import Statement, parse_script

_VERBS: Final = re.compile(
    r"(?:CREATE|ALTER|DROP) (?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION)\b|GRANT ROLE|ALTER SYSTEM"
    r"|(?:REASSIGN|DROP) OWNED"
)
_THINGS: Final = r"(?:ROLE|USER|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION)"
# Of what has no verb of its own, and of code that is not read: the words.
_WORDS: Final = re.compile(
    rf"\b(?:CREATE|ALTER|DROP)\s+(?!USER\s+MAPPING){_THINGS}\b|\bALTER\s+SYSTEM\b|\b(?:REASSIGN|DROP)\s+OWNED\b"
    r"|\bON\s+(?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION|PARAMETER)\b|\bPROGRAM\s+'",
    re.IGNORECASE,
)
_CALLS: Final = re.compile(
    r"\b(?:dblink\w*|lo_export|pg_(?:reload_conf|terminate_backend|cancel_backend|promote|switch_wal|file_write"
    r"|\w*replication\w*|logical_emit_message))\s*\(",
    re.IGNORECASE,
)
_SPOKEN: Final = frozenset({"COMMENT", "SEC LABEL", "GRANT", "COPY"})
_CALLING: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_STRING: Final = re.compile(r"'(?:[^']|'')*'")


def beyond_database(statement: Statement) -> bool:
    """Whether a statement changes something outside the database that it runs in."""
    if _VERBS.match(statement.verb):
        return True
    if statement.opaque:  # its strings may be statements
        return any(words.search(statement.text) for words in (_WORDS, _CALLS))
    text = _STRING.sub("''", statement.text)
    if statement.verb in _CALLING:
        return _CALLS.search(text) is not None
    return statement.verb in _SPOKEN and _WORDS.search(text) is not None


def refuse_beyond(scripts: Iterable[tuple[str, str]], *, hosting: Hosting, what: str) -> None:
    """Refuse to try scripts on the live database's server where they reach beyond the copy.

    The embedded server is the project's own: what its first environment ran is there already.

    Args:
        scripts: each one's name and text.
        hosting: of the environment.
        what: is refused, as the beginning of a sentence.

    Raises:
        Refused: names the statement.
    """
    if hosting is Hosting.EMBEDDED:
        return
    for name, script in scripts:
        found = next((s for s in parse_script(script, source=name) if beyond_database(s)), None)
        if found is not None:
            raise Refused(
                f"{what} on the live database's own server: {name} reaches beyond its database.",
                why=f"Its {found.verb} would change the server for real, before anybody agreed.",
                next_step="give rehearsals a server of their own (rehearsal.connection_string_env), or have an"
                " administrator run that statement and take it out of the revision",
            )
