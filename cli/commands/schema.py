"""`faber-db schema`: the schema as a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option, project_option

if TYPE_CHECKING:
    from faberdb.diagram import Picture
    from faberdb.target import Target


@click.group("schema")
def command() -> None:
    """Look at an environment's schema."""


@command.command("diagram")
@click.argument("environment", metavar="[ENV]", required=False)
@click.option(
    "--tables",
    multiple=True,
    metavar="NAMES",
    help="Only these, separated by commas; * and ? stand for letters. Can be repeated.",
)
@click.option("--diff", "release", default="", metavar="RELEASE", help="What a release changed.")
@click.option(
    "--all", "whole", is_flag=True, help="With --diff: every table, not only those near the change."
)
@click.option("--columns", type=click.IntRange(min=0), default=None, help="At most so many in a table.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "mermaid"]),
    default=None,
    help="Default: by the ending of --output, else svg.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    default=None,
    help="The file to write. Default: standard output.",
)
@project_option
@json_option
def diagram(
    environment: str | None,
    tables: tuple[str, ...],
    release: str,
    whole: bool,
    columns: int | None,
    form: str | None,
    output: Path | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Draw ENV's tables and what refers to what, by default the first environment's."""
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.project import load_project

    if whole and not release:
        raise click.BadOptionUsage("--all", "--all says how much of a --diff is drawn; give both.")
    names = [n.strip() for group in tables for n in _NAMES.findall(group) if n.strip()]
    form = form or ("mermaid" if output and output.suffix in {".mmd", ".mermaid", ".md"} else "svg")
    chosen = (
        environment or _environment_of(project_dir, release) or load_project(project_dir).environments[0].name
    )
    with open_environment(project_dir, chosen) as target:
        picture = _picture(target, names, release, whole=whole)
    title = f"{target.project.name}, {chosen}" + (f": what {release} changed" if release else "")
    text = _drawn(picture, form, title, columns, fenced=output is not None and output.suffix == ".md")
    value = _facts(picture, chosen, release) | {"format": form, "output": str(output or "")}
    if output is not None:
        _write(output, text)
        show(value, f"{output}: {_said(picture)}", as_json)
    else:
        show(value | {"text": text}, text.rstrip("\n"), as_json)


_NAMES = re.compile(r'(?:"(?:[^"]|"")*"|[^,"])+')


def _environment_of(project_dir: Path | None, release: str) -> str:
    """A release names its environment."""
    from faberdb.project import load_project
    from faberdb.release.record import read_release
    from faberdb.target import open_project_ledger

    if not release:
        return ""
    with open_project_ledger(load_project(project_dir)) as ledger:
        return read_release(ledger, release).environment


def _picture(target: Target, names: list[str], release: str, *, whole: bool) -> Picture:
    from faberdb.diagram import chosen, picture_of, seen_at_once
    from faberdb.release.picture import live_schema, picture_of_release

    picture = picture_of_release(target, release) if release else picture_of(live_schema(target))
    if names:
        return chosen(picture, names)
    return picture if whole else seen_at_once(picture)


def _drawn(picture: Picture, form: str, title: str, columns: int | None, *, fenced: bool) -> str:
    from faberdb.diagram import diagram_mermaid, diagram_svg

    if form == "svg":
        return diagram_svg(picture, title=title, columns=columns) + "\n"
    text = diagram_mermaid(picture) if columns is None else diagram_mermaid(picture, columns=columns)
    return f"```mermaid\n{text}```\n" if fenced else text


def _write(output: Path, text: str) -> None:
    from faberdb.errors import Refused

    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(
            f"The picture could not be written to {output}.",
            why=error.strerror or type(error).__name__,
            next_step="give --output a file in a folder that is there and may be written to",
        ) from None


def _facts(picture: Picture, environment: str, release: str) -> dict[str, Any]:
    return {
        "environment": environment,
        "release": release,
        "tables": {t.name: t.mark.value for t in picture.tables},
        "references": len(picture.references),
        "not_drawn": picture.left_out,
        "beside": [f"{mark.value} {words}" for mark, words in picture.beside],
    }


def _said(picture: Picture) -> str:
    words = f"{len(picture.tables)} tables, {len(picture.references)} foreign keys"
    if picture.compared:
        counts = {m: sum(t.mark.value == m for t in picture.tables) for m in ("added", "removed", "changed")}
        words += "; " + (", ".join(f"{n} {m}" for m, n in counts.items() if n) or "no table changed")
    return words + (f"; {picture.left_out} not drawn" if picture.left_out else "")
