"""The `faber-db` command: finds the command that was typed, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import sys

import click

from cli.interpreter import make_ready
from faberdb.errors import FaberError

# Name -> module and the line that --help shows. Modules are imported only when their command runs, so
# that help stays fast and nothing pays for Prefect that does not use it.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("cli.commands.init", "Write faber-db.toml for a project."),
    "config": ("cli.commands.config", "Check the configuration; print its schema."),
    "demo": ("cli.commands.demo", "Run the whole chain on the example shop."),
    "run": ("cli.commands.run", "Take a change through all five phases."),
    "plan": ("cli.commands.plan", "Show what would run in an environment."),
    "lint": ("cli.commands.lint", "Say what would hurt a running application."),
    "migrate": ("cli.commands.migrate", "Release the pending revisions into an environment."),
    "rollback": ("cli.commands.rollback", "Take a release back."),
    "rescue": ("cli.commands.rescue", "Write out the rows that a rollback set aside."),
    "approve": ("cli.commands.approve", "Say yes to a waiting release."),
    "reject": ("cli.commands.reject", "Say no to a waiting release."),
    "status": ("cli.commands.status", "What every environment is now."),
    "health-check": ("cli.commands.health_check", "Is an environment well?"),
    "drift": ("cli.commands.drift", "Is a schema what the last release left?"),
    "schema": ("cli.commands.schema", "Draw an environment's schema, or what a release changed."),
    "db-create": (
        "cli.commands.db_create",
        "Create an environment's database, or recognise an existing one.",
    ),
    "seed": ("cli.commands.seed", "Fill an environment with the project's seed."),
    "backup": ("cli.commands.backup", "Take a snapshot of an environment."),
    "snapshots": ("cli.commands.snapshots", "List snapshots."),
    "verify": ("cli.commands.verify", "Prove a snapshot."),
    "prune": ("cli.commands.prune", "Remove what its retention no longer keeps."),
    "restore": ("cli.commands.restore", "Restore a snapshot."),
    "ledger": ("cli.commands.ledger", "Read the ledger, and check its chain."),
    "up": ("cli.commands.up", "Run Prefect, workers and the webhook receiver here."),
    "deploy": ("cli.commands.deploy", "Register everything with a Prefect that runs elsewhere."),
    "down": ("cli.commands.down", "Stop what faber-db runs here."),
    "doctor": ("cli.commands.doctor", "Say what is wrong here and what to type."),
}


class _Commands(click.Group):
    """A group that knows its commands by name and imports the one that is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 unhealthy or not as it should be, 2 wrong usage, 3 refused and nothing"
    " touched, 4 try again, 5 failed (and taken back, if it says so), 6 failed and not taken back, 7 waits for"
    " approval, 130 interrupted.",
)
@click.version_option(package_name="faber-db")
def cli() -> None:
    """Take a PostgreSQL schema change from a work item to production, and back when it goes wrong."""


def main() -> None:
    """Run the command; print an error once, plainly, and exit with its code."""
    make_ready()
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except FaberError as error:
        from cli.output import show_error

        show_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo("Interrupted; the ledger has what was done, and the same command goes on.", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("Interrupted; the ledger has what was done, and the same command goes on.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
