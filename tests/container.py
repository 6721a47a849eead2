"""PostgreSQL in a container, where a Docker engine answers and has an image of it or can fetch one.

FABER_DB_POSTGRES_IMAGE names another image than the official one, which takes the same POSTGRES_ variables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from deployments.stack import free_port

if TYPE_CHECKING:
    from testcontainers.community.postgres import PostgresContainer

IMAGE = os.environ.get("FABER_DB_POSTGRES_IMAGE", "postgres:17")
PASSWORD = "hunter2-in-a-container"


class ContainerServer(Struct, frozen=True):
    """A server of its own address, with a password, that dies as a machine does."""

    running: PostgresContainer

    @property
    def url(self) -> str:
        """Of a database on it, with `{database}` where its name goes."""
        port = self.running.get_exposed_port(5432)
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/{{database}}"

    def kill(self) -> None:
        """End all of its processes at once."""
        self.running.get_wrapped_container().kill()

    def start(self) -> None:
        """Start it again, and return when it answers."""
        self.running.get_wrapped_container().start()
        self.running._connect()


@pytest.fixture(scope="session")
def container() -> Iterator[ContainerServer]:
    """One for the session."""
    refuse_without_engine()
    if docker("image", "inspect", IMAGE).returncode and docker("pull", "--quiet", IMAGE).returncode:
        pytest.skip(f"no image {IMAGE}, and none to be fetched")
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import testcontainers_config

    testcontainers_config.ryuk_disabled = True  # an image more; this container goes with the session
    server = PostgresContainer(IMAGE, username="postgres", password=PASSWORD, dbname="postgres", driver=None)
    with server.with_bind_ports(5432, free_port()) as running:  # else another port each time it starts
        yield ContainerServer(running)


def refuse_without_engine() -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker command here")
    if docker("version").returncode != 0:
        pytest.skip("no Docker engine answers")


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command; one that does not end within a minute has failed."""
    command = ["docker", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", "")
