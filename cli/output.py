"""How results and errors are printed: plain text or Markdown for people, one JSON value for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from faberdb.errors import FaberError


def show(value: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print a command's result once, in the form that was asked for."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False) if as_json else text)


def show_markdown(value: Mapping[str, Any], markdown: str, as_json: bool) -> None:
    """Print Markdown: drawn in a terminal, as it is in a pipe."""
    if as_json or not sys.stdout.isatty():
        show(value, markdown, as_json)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown))


def show_error(error: FaberError, *, as_json: bool) -> None:
    """Print what happened, why, and the next command, on standard error."""
    if as_json:
        facts = {
            "error": type(error).__name__,
            "what": error.what,
            "why": error.why,
            "next": error.next_step,
            "exit_code": error.exit_code,
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False), err=True)
        return
    click.echo(click.style("✘ ", fg="red") + error.what, err=True)
    if error.why:
        click.echo(click.style("  Why:  ", dim=True) + error.why.replace("\n", "\n        "), err=True)
    if error.next_step:
        click.echo(click.style("  Next: ", dim=True) + error.next_step, err=True)
