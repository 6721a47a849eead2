"""The `[lint]` section: how scripts are looked at before they run."""

from __future__ import annotations

from pydantic import Field

from faberdb.config.section import Section


class LintSection(Section):
    """Rules about statements that hurt a running application."""

    small_table_rows: int = Field(
        default=10_000,
        ge=0,
        description="With fewer rows than this, and little traffic, what a table is locked for is told as low.",
    )
    optional: tuple[str, ...] = Field(
        default=(), description="Codes of rules that are off by default and wanted here."
    )
    squawk: bool = Field(default=True, description="Ask squawk too, where it is installed.")
