"""The `[rehearsal]` section: which copy a plan is tried on, and where it is made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from faberdb.config.section import Seconds, Section


class RehearsalSection(Section):
    """The copy that a plan runs on before it runs for real."""

    copy_of: Literal["auto", "data", "schema"] = Field(
        default="auto",
        description="What the copy holds. data: a fresh snapshot, restored; schema: no rows, and the planner's"
        " statistics where the servers can; auto: data up to max_data_mib.",
    )
    max_data_mib: PositiveInt = Field(
        default=20 * 1024, description="A larger database is rehearsed without its rows, with copy_of auto."
    )
    server: Literal["same", "embedded"] = Field(
        default="same", description="Where the copy is made: beside the environment's database, or embedded."
    )
    connection_string_env: str = Field(
        default="", description="Variable with the URL of a server for rehearsals; it wins over server."
    )
    undo: bool = Field(
        default=True,
        description="Take the plan back on the copy by restoring a second time, where that is its undo."
        " An undo in place is always tried.",
    )
    scan_rows: PositiveInt = Field(
        default=10_000, description="Reading a table of so many rows from end to end is told to the approver."
    )
    timeout_seconds: Seconds = Field(
        default=2 * 3600, description="No step of a rehearsal begins after so long."
    )
