"""Keeping a stack up: what ends is started again, until somebody says that it is enough."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployments.processes import Running, log_of, start_again, tail
from deployments.stack import Stack
from deployments.stack_state import StackState, is_ours, remembered
from faberdb.embedded import find_server, start_server
from faberdb.errors import FaberError, Failed
from faberdb.progress import Progress

_LOOK_EVERY_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0  # a service that ran so long is not failing in a loop
_DETACH_TIMEOUT_S = 180
_END_TIMEOUT_S = 60


@dataclass(slots=True)
class _Record:
    """How often a service ended lately, and when it may start again."""

    started: float = field(default_factory=time.monotonic)
    failures: int = 0
    again_at: float = 0.0


def keep_running(home: Path, stack: Stack, stop: threading.Event, progress: Progress) -> None:
    """Start again whatever ends, with growing pauses, until `stop` is set.

    Flow runs outlive the worker that started them, so a worker that ends takes nothing with it.
    """
    records = {id(r): _Record() for r in stack.running}
    while not stop.wait(_LOOK_EVERY_S):
        _keep_postgres(home, progress)
        for running in stack.running:
            _keep(home, running, records[id(running)], progress)


def _keep(home: Path, running: Running, record: _Record, progress: Progress) -> None:
    code = running.process.poll()
    if code is None:
        return
    now = time.monotonic()
    if not record.again_at:
        record.failures = 0 if now - record.started > _STEADY_S else record.failures + 1
        pause = min(_LONGEST_PAUSE_S, 2.0**record.failures - 1)
        record.again_at = now + pause
        progress(f"the {running.service.name} ended with {code}; starting it again in {pause:.0f} s")
    if now >= record.again_at:
        start_again(home, running)
        record.started, record.again_at = now, 0.0
        progress(f"the {running.service.name} runs again, process {running.process.pid}")


def _keep_postgres(home: Path, progress: Progress) -> None:
    if find_server(home) is not None:
        return
    progress("the embedded PostgreSQL ended; starting it again")
    with contextlib.suppress(FaberError):  # the next look tries again
        start_server(home)
        progress("the embedded PostgreSQL runs again")


def detach(home: Path, arguments: Sequence[str], *, told: Callable[[], None]) -> StackState:
    """Run `faber-db up` in the background, and return when all of it answers.

    Args:
        home: the folder of local state.
        arguments: of the command, without `--detach`.
        told: called while waiting, to show that something happens.

    Raises:
        Failed: it ended, or did not get ready in time; says the end of its log.
    """
    log = log_of(home, "up")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + _DETACH_TIMEOUT_S
    while time.monotonic() < deadline:
        state = remembered(home)
        if state.owner == process.pid and state.ready:
            return state
        if process.poll() is not None:
            raise Failed("faber-db up ended.", why=tail(log), next_step="faber-db doctor")
        told()
        time.sleep(0.2)
    process.terminate()
    raise Failed("faber-db up did not get ready.", why=tail(log), next_step="faber-db doctor")


def end_supervised(home: Path) -> bool:
    """Tell a `faber-db up` to end, and wait for it.

    Returns:
        Whether one was running.

    Raises:
        Failed: it does not end.
    """
    owner = remembered(home)
    if not owner.supervised or not is_ours(owner.owner):
        return False
    os.kill(owner.owner, signal.SIGTERM)
    deadline = time.monotonic() + _END_TIMEOUT_S
    while is_ours(owner.owner):
        if time.monotonic() > deadline:
            raise Failed(f"faber-db up (process {owner.owner}) did not end in {_END_TIMEOUT_S} s.")
        time.sleep(0.1)
    return True
