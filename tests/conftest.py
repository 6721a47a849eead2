"""PostgreSQL for the tests: one embedded server a session, one fresh database a test."""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faberdb.connection import connect, run
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server

pytest_plugins = ["tests.prefect_stack", "tests.older_server", "tests.container", "tests.s3_server"]

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Started in the background, as by `nohup ... &`, tests and what they start would be deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that share the session's Prefect come last: one that waits for its tests computes all the same.

    Before them come those that run Prefects of their own. Among equals the longest file is first, so that several
    workers end together.
    """
    length = Counter(item.path for item in items)
    sharing = {item.path for item in items if "stack" in getattr(item, "fixturenames", ())}
    own = {item.path for item in items if item.get_closest_marker("e2e")} - sharing

    def place(item: pytest.Item) -> tuple[bool, bool, int, str]:
        return item.path in sharing, item.path in own, -length[item.path], str(item.path)

    items.sort(key=place)


@pytest.fixture(scope="session")
def home() -> Path:
    """The folder of this session's local state; each of several workers, and another session, has another."""
    folder = Path(os.environ.get("FABER_DB_TEST_HOME", REPOSITORY / ".faber" / "tests"))
    folder /= os.environ.get("PYTEST_XDIST_WORKER", "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Dsn]:
    """The superuser's Dsn of a real server that forgets at a power cut, and so is quick."""
    admin = start_server(home)
    with connect(admin, purpose="tests") as conn:
        conn.execute("ALTER SYSTEM SET fsync = off")
        conn.execute("ALTER SYSTEM SET max_wal_size = '512MB'")
        conn.execute("SELECT pg_reload_conf()")
        left = conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 't\\_%'").fetchall()
        for (name,) in left:  # a session that was killed
            run(conn, "DROP DATABASE {name} WITH (FORCE)", name=name)
    yield admin
    stop_server(home)


@pytest.fixture
def create_database(server: Dsn) -> Iterator[Callable[..., Dsn]]:
    """Creates databases by name, from a template if wanted; they go at the end of the test."""
    made: list[str] = []

    def create(label: str = "db", *, template: str = "template0") -> Dsn:
        name = f"t_{label}_{uuid.uuid4().hex[:8]}"
        with connect(server, purpose="tests") as conn:
            run(
                conn,
                "CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY",
                name=name,
                template=template,
            )
        made.append(name)
        return server.with_database(name)

    yield create
    with connect(server, purpose="tests") as conn:
        for name in made:
            run(conn, "DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=name)


@pytest.fixture
def fresh_database(create_database: Callable[..., Dsn]) -> Dsn:
    """An empty database of this test's own."""
    return create_database()
