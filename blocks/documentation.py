"""Where Prefect's UI sends a reader who fills in a block."""

from __future__ import annotations

from typing import Final

from pydantic import HttpUrl

# Our own pages (docs/reference/blocks.md) have no public address, and Prefect takes nothing but http(s).
DOCUMENTATION: Final = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
