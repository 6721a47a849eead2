"""Commands that the project brings, run with its database's URL in their environment only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from faberdb.dsn import Dsn
from faberdb.subprocesses import Finished, run_program


def run_project_command(
    command: Sequence[str], dsn: Dsn, *, cwd: Path, timeout_s: float, what: str
) -> Finished:
    """Run a configured command; `{python}` in it stands for the interpreter that runs faber-db.

    Raises:
        CommandFailed: it failed, could not start or ran out of time.
    """
    arguments = [sys.executable if part == "{python}" else part for part in command]
    environment = {"DATABASE_URL": dsn.url(), **dsn.process_environment()}
    return run_program(arguments, timeout_s=timeout_s, environment=environment, cwd=cwd, what=what)
