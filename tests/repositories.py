"""Git repositories for tests, made by the real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from msgspec import Struct


class Repository(Struct, frozen=True):
    """A repository somebody works in, and that others fetch from."""

    root: Path

    @property
    def url(self) -> str:
        return f"file://{self.root}"

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Priya", "-c", "user.email=priya@shop.example", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(self.root), *who, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Commit files by name (`a` is the file `a`), beside what lies there; returns the commit."""
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "work")
        return self.git("rev-parse", "HEAD")


def make_repository(root: Path) -> Repository:
    """A repository with the branch main and no commit."""
    root.mkdir(parents=True, exist_ok=True)
    made = Repository(root)
    made.git("init", "--quiet", "--initial-branch=main")
    return made
