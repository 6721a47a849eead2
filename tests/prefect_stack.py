"""A real Prefect for the flows: server, its PostgreSQL and a worker, once a session."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.stack import Stack, running_stack
from tests.flows.shoplet import Shoplet, make_shoplet


@pytest.fixture(scope="session")
def prefect_home(home: Path) -> Path:
    """Local state of this session's Prefect; kept between sessions, because a new server costs ten seconds."""
    folder = home / "prefect-stack"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stack(prefect_home: Path) -> Iterator[Stack]:
    """A Prefect with our deployments and a worker; this process and its children talk to it."""
    os.environ["FABER_DB_HOME"] = str(prefect_home)
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = "1"  # each look costs the server, whoever waits
    with running_stack(prefect_home) as running:
        os.environ["PREFECT_API_URL"] = running.api.url
        os.environ["PREFECT_HOME"] = str(prefect_home / "prefect")
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        yield running
        del os.environ["PREFECT_API_URL"]


@pytest.fixture
def shoplet(stack: Stack, tmp_path: Path) -> Iterator[Shoplet]:
    """A small project whose production is protected, with two revisions applied and rows in it."""
    made = make_shoplet(tmp_path / "shoplet")
    yield made
    made.forget()


@pytest.fixture(scope="session")
def forked(stack: Stack) -> Callable[..., int]:
    """Run a function in a process of its own that has Prefect imported already; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flows.running"])

    def run(target: Callable[..., None], *arguments: object) -> int:
        process = context.Process(target=target, args=arguments)
        process.start()
        process.join(timeout=120)
        if process.exitcode is None:
            process.kill()
            raise AssertionError("the process did not end within 120 s")
        return process.exitcode

    return run
