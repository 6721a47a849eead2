"""How artifacts are called."""

from __future__ import annotations

import re


def artifact_key(what: str, environment: str) -> str:
    """A key of the characters that Prefect takes, the same for every run: artifacts of one key are versions."""
    return re.sub(r"[^a-z0-9]+", "-", f"{what}-{environment}".lower()).strip("-")
