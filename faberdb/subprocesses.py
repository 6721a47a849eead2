"""Running other people's programs with a bound on time, a clean environment and nothing left behind.

The only module that starts a process. A program gets its secrets in its environment, never as an
argument (law 7), runs in a process group of its own, and the whole group ends with us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from faberdb.errors import CommandFailed

# What a child needs of our environment to be itself; secrets of ours are not among it.
_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "USER",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
)
_OUTPUT_KEPT = 64 * 1024
_WATCHED_EVERY_S = 0.5


class Finished(Struct, frozen=True, kw_only=True):
    """What a program left: its exit code and the end of what it printed."""

    code: int
    output: str  # standard output, at most the last 64 KiB
    errors: str  # standard error, likewise


def run_program(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    what: str,
    check: bool = True,
    watch: Callable[[], None] | None = None,
) -> Finished:
    """Run a program to its end.

    Args:
        command: the program and its arguments; no secret among them.
        timeout_s: after this many seconds its process group is terminated, then killed.
        environment: variables added to the few that are passed on; secrets go here.
        cwd: its working directory.
        what: how an error names it, such as "pg_dump of shop_production".
        check: raise on a non-zero exit.
        watch: called every half second meanwhile; what it raises ends the program.

    Raises:
        CommandFailed: it could not be started, ended with an error, or ran out of time.
    """
    env = {k: os.environ[k] for k in _PASSED_ON if k in os.environ} | dict(environment or {})
    try:
        process = subprocess.Popen(
            [str(c) for c in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            process_group=0,
        )
    except OSError as error:
        raise CommandFailed(f"{what} could not be started.", why=str(error)) from None
    with _group_ended(process):
        try:
            out, err = _communicate(process, timeout_s, watch)
        except subprocess.TimeoutExpired:
            raise CommandFailed(
                f"{what} did not end within {timeout_s:g} s and was stopped.",
                why="It is waiting for something, or the limit is too small for the data.",
            ) from None
    finished = Finished(code=process.returncode, output=_tail(out), errors=_tail(err))
    if check and finished.code != 0:
        why = (finished.errors.strip() or finished.output.strip() or "it printed nothing")[-2000:]
        raise CommandFailed(f"{what} failed with exit code {finished.code}.", why=why)
    return finished


def _communicate(
    process: subprocess.Popen[bytes], timeout_s: float, watch: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    if watch is None:
        return process.communicate(timeout=timeout_s)
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            return process.communicate(timeout=max(0.0, min(left, _WATCHED_EVERY_S)))
        except subprocess.TimeoutExpired:
            if left <= _WATCHED_EVERY_S:
                raise
        watch()


def _tail(raw: bytes) -> str:
    return raw[-_OUTPUT_KEPT:].decode("utf-8", "replace")


@contextlib.contextmanager
def _group_ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave no process of the group behind, however the block ends."""
    with _ended_on_terminate(process):
        try:
            yield
        finally:
            if process.poll() is None:
                _signal_group(process, signal.SIGTERM)
                try:
                    process.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    _signal_group(process, signal.SIGKILL)
                    process.communicate(timeout=5)


@contextlib.contextmanager
def _ended_on_terminate(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass a SIGTERM on to the group: Python's default action would die without running `finally`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def pass_on(number: int, frame: object) -> None:
        _signal_group(process, signal.SIGTERM)
        if callable(before):
            before(number, frame)  # type: ignore[arg-type]
        elif before == signal.SIG_DFL:
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
        os.killpg(process.pid, number)
