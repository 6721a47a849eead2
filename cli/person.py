"""Who is typing, as far as this machine can tell; proof of it comes from elsewhere."""

from __future__ import annotations

import getpass
import subprocess


def person_typing(given: str | None) -> str:
    """The name that was given, else git's `user.name`, else the login name."""
    if given:
        return given
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607 -- whichever git the person uses
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
        name = done.stdout.strip()
    except OSError:
        name = ""
    return name or getpass.getuser()
