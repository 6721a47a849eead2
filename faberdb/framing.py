"""What is asked, whether it concerns the database, and whether every environment is fit to take it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from faberdb.connection import Connection, connect
from faberdb.credentials import resolve_dsn
from faberdb.errors import DatabaseMissing, FaberError, Refused
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.history import read_history
from faberdb.project import Environment, Project
from faberdb.target import tool_of
from faberdb.tools.protocol import MigrationTool
from faberdb.workitem import Detection, WorkItem, detect, read_work_item

Look = Callable[[Connection, MigrationTool], None]


class EnvironmentState(Struct, frozen=True, kw_only=True):
    """What one environment is now."""

    environment: str
    database: str
    exists: bool
    applied: int
    pending: tuple[str, ...]
    problem: str  # why it is not fit to take a change, "" when it is


class Framing(Struct, frozen=True, kw_only=True):
    """What the Frame phase found."""

    change: str  # the work item's id and title, "" without one
    requester: str
    commit: str
    detection: Detection
    environments: tuple[EnvironmentState, ...]

    @property
    def summary(self) -> str:
        """For people, one line a fact."""
        verdict = "database work" if self.detection.database_work else "no database work"
        lines = [
            f"{self.change or 'No work item'}: {verdict} ({self.detection.confidence:.0%} sure:"
            f" {'; '.join(self.detection.reasons) or 'nothing speaks for it'})"
        ]
        for state in self.environments:
            facts = (
                f"{state.applied} applied, {len(state.pending)} pending"
                if state.exists
                else "no database yet"
            )
            lines.append(f"{state.environment}: {state.problem or facts}")
        return "\n".join(lines)


def environment_state(
    project: Project, environment: Environment, given: Given = NOTHING_GIVEN, *, also: Look | None = None
) -> EnvironmentState:
    """Look at one environment; a problem is part of the answer, not an error.

    Args:
        project: whose.
        environment: which.
        given: what blocks say of it.
        also: looks at more on the same connection, where the revisions could be read.
    """
    revisions: tuple[str, ...] = ()
    database, exists, applied, problem = environment.database, False, 0, ""
    try:
        dsn = resolve_dsn(project, environment, given=given)
        database = dsn.database
        tool = tool_of(project, dsn)
        on_disk = tool.revisions()
        revisions = tuple(r.name for r in on_disk)
        with connect(dsn, purpose="frame") as conn:
            exists = True
            history = read_history(on_disk, tool.tracked(conn))
            if also is not None:
                also(conn, tool)
        applied, revisions = len(history.applied_names), history.pending_names
        problem = history.problem
    except DatabaseMissing:
        exists = False
    except FaberError as error:
        problem = error.reason
    return EnvironmentState(
        environment=environment.name,
        database=database,
        exists=exists,
        applied=applied,
        pending=revisions,
        problem=problem,
    )


def frame_change(
    project: Project, work_item: str, requester: str, environments: tuple[EnvironmentState, ...]
) -> Framing:
    """Decide from the work item and from the environments' pending revisions."""
    integration = project.config.faber_integration
    if not integration.enabled:
        raise Refused(
            "The five phases are turned off for this project; nothing was done.",
            why="faber_integration.enabled is false.",
            next_step="set it to true, or release one environment: faber-db migrate ENV",
        )
    item = read_item(project.root, work_item)
    new = max((len(s.pending) for s in environments), default=0)
    detection = detect(item or WorkItem(title=""), integration.detection_patterns, new_revisions=new)
    if not integration.auto_detect_database_work:
        why = "faber_integration.auto_detect_database_work is false"
        detection = Detection(database_work=True, confidence=1.0, reasons=(why,))
    return Framing(
        change=item.name if item else "",
        requester=requester or (item.requester if item else ""),
        commit=project.commit(),
        detection=detection,
        environments=environments,
    )


def read_item(root: Path, work_item: str) -> WorkItem | None:
    """The work item at a path relative to the project, or None where none is given."""
    return read_work_item(root / work_item) if work_item else None
