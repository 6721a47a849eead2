"""A PostgreSQL that is older than the embedded one, for the tests that hold on both."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from deployments.stack import free_port
from faberdb.dsn import Dsn


class OlderServer(Struct, frozen=True):
    """A PostgreSQL of the system's packages, run as the user postgres."""

    folder: Path
    programs: Path
    port: int

    @property
    def dsn(self) -> Dsn:
        """The superuser's, of its maintenance database."""
        return Dsn(host=str(self.folder), port=self.port, user="postgres", database="postgres")

    def run(self, *command: object) -> None:
        """Run a program as the server's user."""
        as_postgres = ["runuser", "-u", "postgres", "--"]
        subprocess.run(
            [*as_postgres, *map(str, command)],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self, name: str, options: str) -> None:
        """Start the server whose data is in the folder of that name."""
        options = f"-k {self.folder} -c fsync=off {options}"
        log = self.folder / f"{name}.log"
        self.run(self.programs / "pg_ctl", "-D", self.folder / name, "-l", log, "-w", "-o", options, "start")

    def stop(self, name: str) -> None:
        """End it at once."""
        self.run(self.programs / "pg_ctl", "-D", self.folder / name, "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def older() -> Iterator[OlderServer]:
    """One that is installed, if possible from before 17's new settings; reachable over the network, with TLS."""
    found = [p for v in (16, 15, 14, 13, 17) if (p := Path(f"/usr/lib/postgresql/{v}/bin")).is_dir()]
    if not found or shutil.which("runuser") is None or shutil.which("openssl") is None:
        pytest.skip("no older PostgreSQL is installed here")
    folder = Path("/tmp") / f"faber-db-older-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    shutil.chown(folder, "postgres")
    server = OlderServer(folder, found[0], free_port())
    data = folder / "data"
    server.run(found[0] / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    key, certificate = data / "server.key", data / "server.crt"
    server.run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
        *("-keyout", key, "-out", certificate),
    )
    key.chmod(0o600)
    with (data / "pg_hba.conf").open("a") as hba:
        hba.write("host all all 0.0.0.0/0 trust\n")
    server.start("data", f"-p {server.port} -c listen_addresses=0.0.0.0 -c ssl=on")
    yield server
    server.stop("data")
    shutil.rmtree(folder)


@pytest.fixture
def older_server(older: OlderServer) -> Dsn:
    """Its superuser's Dsn."""
    return older.dsn
