"""A copy of a live database's schema, without a row of its data, for as long as something is tried on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from faberdb.connection import connect
from faberdb.databases import scratch_database
from faberdb.dsn import Dsn
from faberdb.snapshot.programs import dump_schema, restore

_TIMEOUT_S: Final = 600


@contextmanager
def schema_copies(dsn: Dsn, *, copies: int = 1) -> Iterator[tuple[Dsn, ...]]:
    """New databases beside a live one, with its schema as it is now; dropped at the end.

    Args:
        dsn: the live database; only read.
        copies: how many, all of the same moment.

    Raises:
        FaberError: they could not be made.
    """
    with tempfile.TemporaryDirectory(prefix="faber-db-") as folder, ExitStack() as made:
        archive = Path(folder) / "schema"
        with connect(dsn, purpose="prove", read_only=True) as conn:
            has_public = conn.execute("SELECT FROM pg_namespace WHERE nspname = 'public'").rowcount == 1
        dump_schema(dsn, archive, timeout_s=_TIMEOUT_S)
        yield tuple(_copy(dsn, archive, has_public, made) for _ in range(copies))


def _copy(dsn: Dsn, archive: Path, has_public: bool, made: ExitStack) -> Dsn:
    copy = made.enter_context(scratch_database(dsn, "proof"))
    with connect(copy, purpose="prove") as conn:
        version = conn.info.server_version
        if not has_public:
            conn.execute("DROP SCHEMA IF EXISTS public")
    restore(archive, copy, server_version=version, with_roles=True, timeout_s=_TIMEOUT_S)
    return copy
