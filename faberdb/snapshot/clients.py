"""Which `pg_dump` and `pg_restore` speak to a server: its own major version's where this machine has them.

Else the embedded ones, which read every server up to their version. Refuses to know their options
(`faberdb.snapshot.programs`).
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.embedded import client_program
from faberdb.errors import CommandFailed, Refused
from faberdb.subprocesses import run_program

# Where Debian and its children, Red Hat's, and Homebrew put the programs of one major version.
_PLACES: Final = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/opt/homebrew/opt/postgresql@{}/bin")
_TIMEOUT_S: Final = 30


class Clients(Struct, frozen=True, kw_only=True):
    """The client programs in one folder."""

    folder: Path
    version: str  # such as "18.6"
    zstd: bool  # built with zstd, which an archive's writer and its reader have to be

    @property
    def major(self) -> int:
        """Such as 18."""
        return int(self.version.split(".", maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """The path of `pg_dump` or `pg_restore`."""
        return self.folder / name


def embedded_clients() -> Clients:
    """Those that faber-db brings."""
    found = clients_in(client_program("pg_dump").parent)
    assert found is not None
    return found


def choose_clients(server_version: int, *, at_least: str = "", zstd: bool = False) -> Clients:
    """The programs for a server.

    Args:
        server_version: as PostgreSQL numbers itself, such as 150018.
        at_least: the version of the `pg_dump` that wrote what is to be read; "" for writing.
        zstd: what is to be read is compressed so.

    Raises:
        Refused: the machine has none that can.
    """
    major = server_version // 10000
    oldest = int(at_least.split(".", maxsplit=1)[0]) if at_least else major
    installed = [c for n in {major, max(major, oldest)} for c in _installed(n)]
    candidates = [*sorted(installed, key=lambda c: (c.major, not c.zstd)), embedded_clients()]
    for clients in candidates:
        if clients.major >= max(major, oldest) and (clients.zstd or not zstd):
            return clients
    raise Refused(
        f"This machine has no PostgreSQL client programs for a server of version {major}"
        f"{f' and an archive of pg_dump {at_least}' if at_least else ''}{', with zstd' if zstd else ''}.",
        why=f"The embedded ones are {candidates[-1].version}, and programs read what is no newer than they are.",
        next_step=f"install the client programs of PostgreSQL {max(major, oldest)} or newer here",
    )


@functools.cache
def clients_in(folder: Path) -> Clients | None:
    """What the programs of a folder can, asked of themselves; None where they are not all there."""
    dump = folder / "pg_dump"
    if not (os.access(dump, os.X_OK) and os.access(folder / "pg_restore", os.X_OK)):
        return None
    try:
        told = run_program([dump, "--version"], timeout_s=_TIMEOUT_S, what="pg_dump --version").output
        version = told.split("(PostgreSQL)")[-1].split()[0]
        return Clients(folder=folder, version=version, zstd=_has_zstd(dump))
    except (CommandFailed, IndexError):
        return None


def _has_zstd(dump: Path) -> bool:
    """It refuses a compression that it was not built with before it connects anywhere."""
    command: list[str | Path] = [dump, "--format=directory", "--compress=zstd:1", "--file=/dev/null/none"]
    tried = run_program(
        [*command, "--dbname=host=/dev/null/none"], timeout_s=_TIMEOUT_S, what="pg_dump", check=False
    )
    return "ompress" not in tried.errors


def _installed(major: int) -> Iterator[Clients]:
    on_path = shutil.which("pg_dump")
    folders = [Path(p.format(major)) for p in _PLACES] + ([Path(on_path).parent] if on_path else [])
    for folder in folders:
        found = clients_in(folder)
        if found is not None and found.major == major:
            yield found
