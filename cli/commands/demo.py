"""`faber-db demo`: the whole chain on the example shop, on embedded parts."""

from __future__ import annotations

import time

import click


@click.command("demo")
def command() -> None:
    """Run a good change to production, then a bad one and its automatic rollback. Needs nothing but this."""
    from cli.demonstration import demonstrate

    began = time.monotonic()
    demonstrate()
    click.echo(f"\nThe demo took {time.monotonic() - began:.0f} s.")
