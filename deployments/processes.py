"""Processes of ours that outlive a function: started in sessions of their own, remembered, and all ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from msgspec import Struct
from msgspec.structs import replace

from deployments.stack_state import StackState, is_ours, remember, remembered

_END_TIMEOUT_S = 15


class Service(Struct, frozen=True, kw_only=True):
    """A program that runs until it is told to end."""

    name: str  # its log is home/logs/<name>.log
    command: tuple[str, ...]  # no secret among it
    environment: Mapping[str, str]


@dataclass(slots=True)
class Running:
    """A service and the process that it is now."""

    service: Service
    process: subprocess.Popen[bytes]


def start(home: Path, service: Service) -> Running:
    """Start a service in a session of its own, so that Ctrl-C reaches us and we end it in order."""
    return Running(service, _spawn(home, service))


def start_again(home: Path, running: Running) -> None:
    """Start a service that has ended. What it left running goes on: flow runs outlive their worker."""
    _forget(home, running.process)
    running.process = _spawn(home, running.service)


def end(home: Path, running: Running) -> None:
    """End a service and all that came from it."""
    _end_group(running.process.pid, running.process)
    _forget(home, running.process)


def _spawn(home: Path, service: Service) -> subprocess.Popen[bytes]:
    with log_of(home, service.name).open("ab") as out, _interruptible():
        process = subprocess.Popen(
            service.command,
            env=dict(service.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    state = remembered(home)
    remember(home, replace(state, processes=(*state.processes, process.pid)))
    return process


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let what we start be interrupted, also where we were started with SIGINT ignored, as by `nohup ... &`.

    That is inherited, and a Prefect worker that is told to end sends itself a SIGINT.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_leftovers(home: Path) -> None:
    """End what a command that was killed left behind."""
    for pid in remembered(home).processes:
        if is_ours(pid):
            _end_group(pid)
    remember(home, StackState())


def log_of(home: Path, name: str) -> Path:
    """A service's log file; its folder is made."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-1500:].strip() if log.exists() else ""


def _end_group(pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Terminate a session of ours and all that came from it; kill what does not end in time.

    A worker starts each flow run in a session of its own, so a group's end is not enough.
    """
    family = _family(pid)
    for number, patience in ((signal.SIGTERM, _END_TIMEOUT_S), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if process is not None:
                process.poll()
            if not _group_lives(pid):
                break
            time.sleep(0.05)
        if not _group_lives(pid):
            break
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()  # a flow run that outlived its worker; its ledger tells the next run where it was


def _forget(home: Path, process: subprocess.Popen[bytes]) -> None:
    state = remembered(home)
    remember(home, replace(state, processes=tuple(p for p in state.processes if p != process.pid)))


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
