"""The application's own tests, run against a migrated database."""

from __future__ import annotations

from faberdb.project_commands import run_project_command
from faberdb.target import Target


def run_application_tests(target: Target) -> str:
    """Run `evaluate.test_command` with `DATABASE_URL` set; what came of it, in words.

    Raises:
        CommandFailed: the tests failed, could not start or ran out of time.
    """
    config = target.project.config.evaluate
    if not config.test_command:
        return "no test command is configured"
    finished = run_project_command(
        config.test_command,
        target.dsn,
        cwd=target.project.root,
        timeout_s=config.test_timeout_seconds,
        what="the application's test command",
    )
    lines = [line for line in finished.output.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "the test command passed"
