"""squawk as a second opinion: asked once for all scripts, bounded in time, and never missed."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.errors import CommandFailed
from faberdb.subprocesses import run_program

_TIMEOUT_S: Final = 20


class Opinion(Struct, frozen=True, kw_only=True):
    """One of its findings."""

    rule: str
    line: int  # from 1
    message: str


class SecondOpinion(Struct, frozen=True, kw_only=True):
    """All of them by script, or why there are none."""

    opinions: Mapping[str, tuple[Opinion, ...]]
    note: str = ""


def ask_squawk(scripts: Mapping[str, str]) -> SecondOpinion:
    """What squawk says of scripts; where it cannot be asked, a note says so."""
    return _ask(tuple(scripts.items()))


@lru_cache(maxsize=8)  # a plan is made several times on its way to a release
def _ask(scripts: tuple[tuple[str, str], ...]) -> SecondOpinion:
    if not scripts:
        return SecondOpinion(opinions={})
    program = find_squawk()
    if program is None:
        return SecondOpinion(opinions={}, note="squawk is not installed: its second opinion is missing")
    with tempfile.TemporaryDirectory(prefix="faber-db-lint-") as folder:
        files = {}
        for number, (name, script) in enumerate(scripts):
            path = Path(folder) / f"{number:06}.sql"
            path.write_text(script, encoding="utf-8")
            files[path.name] = name
        empty = Path(folder) / "squawk.toml"  # whatever a .squawk.toml above says, the same is found
        empty.write_text("")
        command: list[str | Path] = [program, "--config", empty, "--reporter", "json", *sorted(files)]
        try:
            done = run_program(command, timeout_s=_TIMEOUT_S, cwd=Path(folder), what="squawk", check=False)
            found = json.loads(done.output or "[]")
            opinions: dict[str, tuple[Opinion, ...]] = {}
            for item in found:
                name = files[Path(item["file"]).name]
                opinion = Opinion(rule=item["rule_name"], line=item["line"] + 1, message=item["message"])
                opinions[name] = (*opinions.get(name, ()), opinion)
        except (CommandFailed, ValueError, KeyError, TypeError) as error:
            return SecondOpinion(opinions={}, note=f"squawk could not be asked: {error}".splitlines()[0])
    return SecondOpinion(opinions=opinions)


def find_squawk() -> Path | None:
    """The program: beside this Python, where its package puts it, or on the PATH."""
    beside = Path(sys.executable).parent / "squawk"
    found = str(beside) if beside.exists() else shutil.which("squawk")
    return Path(found) if found else None
