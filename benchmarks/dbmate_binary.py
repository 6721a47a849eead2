"""dbmate, a migration tool written in Go, from its npm package: fetched once, then found."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

TRACKING_TABLE = "schema_migrations"


class NoDbmate(Exception):
    """It cannot be had here; the message says why."""


def find_dbmate(folder: Path) -> Path:
    """The program itself, not the Node script that starts it; installed under `folder` where missing.

    Raises:
        NoDbmate: npm is missing or could not install it.
    """
    found = _program(folder)
    return found if found is not None else _install(folder)


def _install(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NoDbmate("npm is not on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')  # or npm looks for one in the parents
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "dbmate"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        raise NoDbmate("npm install did not end within 180 s") from None
    program = _program(folder)
    if program is None:
        said = done.stderr.strip().splitlines() or ["it brought no program for this platform"]
        raise NoDbmate(f"npm install dbmate: {said[-1]}")
    return program


def _program(folder: Path) -> Path | None:
    return next(folder.glob("node_modules/@dbmate/*/bin/dbmate*"), None)


def dbmate_version(program: Path) -> str:
    """Such as `dbmate version 2.36.0`."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True)
    return said.stdout.strip()
