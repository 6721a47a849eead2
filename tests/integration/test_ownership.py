"""Who runs the Prefect of a folder: one command at a time, and not ended while another uses it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deployments.ownership import owning, unused, using
from deployments.stack import Shape, running_stack
from deployments.stack_state import StackState, remember
from faberdb.errors import Refused

HOLD = "import sys; from pathlib import Path; from deployments.ownership import owning\n"
HOLD += "with owning(Path(sys.argv[1])) as ours: print(ours, flush=True); sys.stdin.read()"


def test_there_is_one_owner_at_a_time(tmp_path: Path) -> None:
    with owning(tmp_path) as first, owning(tmp_path) as second:
        assert (first, second) == (True, False)
    with owning(tmp_path) as again:
        assert again


def test_an_owner_that_is_killed_leaves_it_to_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with owning(tmp_path) as ours:
            assert not ours
        other.kill()
    with owning(tmp_path) as ours:
        assert ours


def test_the_owner_waits_for_who_uses_it_and_lets_nobody_new_in_while_it_ends(tmp_path: Path) -> None:
    told: list[str] = []
    ended = threading.Event()

    def end() -> None:
        with unused(tmp_path, told.append), using(tmp_path) as late:
            assert not late
            ended.set()

    with using(tmp_path) as first, using(tmp_path) as second:
        assert first
        assert second
        ending = threading.Thread(target=end)
        ending.start()
        assert not ended.wait(0.5)
    assert ended.wait(5)
    ending.join()
    assert told == ["waiting for another command that uses this Prefect"]


def test_another_stack_is_refused_while_one_only_starts(tmp_path: Path) -> None:
    with owning(tmp_path):
        remember(tmp_path, StackState(api="http://127.0.0.1:4200/api"))
        with pytest.raises(Refused, match="runs here already"), running_stack(tmp_path, shape=Shape()):
            pass
