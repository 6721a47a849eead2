"""PostgreSQL's own `pg_dump` and `pg_restore`, run as a snapshot needs them.

The only module that knows their options. Refuses to know stores, manifests and plans.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from faberdb.client_tls import lend_libpq
from faberdb.connection import CONNECT_TIMEOUT_S
from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed
from faberdb.snapshot.clients import Clients, embedded_clients
from faberdb.subprocesses import run_program

JOBS: Final = 2
_LOCK_WAIT_MS: Final = 10_000
_LISTING_TIMEOUT_S: Final = 300
# pg_restore sends it to every server since version 17, and those before do not know it.
_SENDS_IT_FROM: Final = 17
_UNKNOWN_SETTING: Final = "SET transaction_timeout = 0"
# PostgreSQL stamps each column since 17.12 and the releases of the other versions of that day. A pg_dump from
# before takes the stamp for an option that people set, and a server from before refuses it.
_OPTIONS: Final = re.compile(
    rb"^(ALTER (?:FOREIGN )?TABLE ONLY [^\n]+ ALTER COLUMN [^\n]+ )SET \(([^\n]*pg_attver=[^\n]*)\);$",
    re.MULTILINE,
)
_STAMP: Final = b"pg_attver="


def compression(clients: Clients) -> str:
    """What their dumps are compressed with."""
    return "zstd" if clients.zstd else "gzip"


def dump(
    dsn: Dsn,
    folder: Path,
    *,
    clients: Clients,
    snapshot: str,
    timeout_s: float,
    watch: Callable[[], None] | None = None,
) -> None:
    """Write one database into a folder that is not there yet, as of an exported snapshot.

    Subscriptions are left out: each holds the password of another server, and a copy must not subscribe.

    Args:
        dsn: the database.
        folder: is not there yet.
        clients: of a version that is not older than the server's.
        snapshot: the exported snapshot's name.
        timeout_s: for the whole.
        watch: called every half second meanwhile; what it raises ends the program.

    Raises:
        CommandFailed: it failed or ran out of time.
    """
    command: list[str | Path] = [
        clients.program("pg_dump"),
        "--format=directory",
        f"--jobs={JOBS}",
        # gzip 1 measured on order lines: less than half the time of the default, 6 % larger
        f"--compress={'zstd:1' if clients.zstd else '1'}",
        "--no-password",
        "--no-sync",  # the store makes all files durable at once
        "--no-subscriptions",
        f"--lock-wait-timeout={_LOCK_WAIT_MS}",
        f"--snapshot={snapshot}",
        f"--file={folder}",
    ]
    what = f"pg_dump of {dsn.database!r}"
    env = _environment(dsn, "snapshot", clients)
    run_program(command, environment=env, timeout_s=timeout_s, what=what, watch=watch)
    _leave_out_stamps(folder)


def dump_schema(dsn: Dsn, folder: Path, *, timeout_s: float, statistics: bool = False) -> None:
    """The same for the schema alone, without its rows, as it is now.

    Args:
        dsn: the database.
        folder: is not there yet.
        timeout_s: for the whole.
        statistics: with the planner's, which only a server from version 18 on can take.

    Raises:
        CommandFailed: it failed or ran out of time.
    """
    clients = embedded_clients()
    command: list[str | Path] = [
        clients.program("pg_dump"),
        "--format=directory",
        *(["--no-data", "--statistics"] if statistics else ["--schema-only"]),
        "--no-password",
        "--no-sync",
        "--no-subscriptions",
        f"--lock-wait-timeout={_LOCK_WAIT_MS}",
        f"--file={folder}",
    ]
    what = f"pg_dump of {dsn.database!r}"
    run_program(command, environment=_environment(dsn, "proof", clients), timeout_s=timeout_s, what=what)
    _leave_out_stamps(folder)


def _leave_out_stamps(folder: Path) -> None:
    """Take the server's own stamps out of the archive's table of contents, whose strings keep their lengths."""
    toc = folder / "toc.dat"
    written = toc.read_bytes()
    if _STAMP in written:
        toc.write_bytes(_OPTIONS.sub(_without_stamp, written))


def _without_stamp(found: re.Match[bytes]) -> bytes:
    """The statement at its old length; as it was where that is too short, which no stamp seen so far is."""
    kept = [option for option in found[2].split(b", ") if not option.startswith(_STAMP)]
    wanted = b"SET (" + b", ".join(kept) + b");" if kept else b"RESET (n_distinct);"  # which nobody has set
    text = (found[1] + wanted).ljust(len(found[0]))
    return text if len(text) == len(found[0]) else found[0]


def listing(folder: Path, clients: Clients | None = None) -> str:
    """The archive's table of contents, by the embedded programs where no others are given.

    Raises:
        CommandFailed: pg_restore cannot read it.
    """
    program = (clients or embedded_clients()).program("pg_restore")
    command: list[str | Path] = [program, "--list", folder]
    return run_program(command, timeout_s=_LISTING_TIMEOUT_S, what="pg_restore --list").output


def restore(
    folder: Path,
    dsn: Dsn,
    *,
    server_version: int,
    with_roles: bool,
    timeout_s: float,
    clients: Clients | None = None,
    watch: Callable[[], None] | None = None,
) -> None:
    """Restore an archive into an empty database, stopping at the first error.

    Args:
        folder: the archive.
        dsn: the empty database.
        server_version: of its server.
        with_roles: give objects their owners and grants; else all belong to the login.
        timeout_s: for the whole.
        clients: the programs; the embedded ones by default.
        watch: called every half second meanwhile; what it raises ends the program.

    Raises:
        CommandFailed: it failed or ran out of time.
    """
    clients = clients or embedded_clients()
    strict = server_version >= 170000 or clients.major < _SENDS_IT_FROM
    command: list[str | Path] = [
        clients.program("pg_restore"),
        "--format=directory",
        f"--jobs={JOBS}",
        "--no-password",
        *(["--exit-on-error"] if strict else []),
        *([] if with_roles else ["--no-owner", "--no-privileges"]),
        f"--dbname={make_conninfo(dbname=dsn.database)}",  # a bare name with "=" would be read as options
        folder,
    ]
    what = f"pg_restore into {dsn.database!r}"
    env = _environment(dsn, "restore", clients)
    # A commit for each object, thousands of them, need not wait for the disk: a database that is not marked as
    # restored is made anew, and the commit that marks it takes all WAL before it to the disk.
    env["PGOPTIONS"] = f"{env.get('PGOPTIONS', '')} -c synchronous_commit=off".strip()
    ended = run_program(command, environment=env, timeout_s=timeout_s, what=what, check=strict, watch=watch)
    if ended.code != 0 and not _only_the_unknown_setting(ended.errors):
        raise CommandFailed(f"{what} failed with exit code {ended.code}.", why=ended.errors.strip()[-2000:])


def _only_the_unknown_setting(errors: str) -> bool:
    """The number that pg_restore gives at the end is not used: it misses errors of its parallel workers.

    Workers share one stderr and write "pg_restore:", " ", "error: " and the message one by one, so that
    two of them may stand in each other's line; each piece stays whole.
    """
    told = errors.count("error: ")
    return told > 0 and told == errors.count(f"Command was: {_UNKNOWN_SETTING}")


def _environment(dsn: Dsn, purpose: str, clients: Clients) -> dict[str, str]:
    lent = (
        lend_libpq(dsn) if clients == embedded_clients() else {}
    )  # others have a libpq, and die of a second
    return (
        dsn.process_environment()
        | lent
        | {
            "PGAPPNAME": f"faber-db {purpose}",
            "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S),
            "LC_ALL": "C",  # messages in the language that we look for
        }
    )
