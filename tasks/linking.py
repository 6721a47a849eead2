"""Where a change is described: the address that the project's work tracker gives it."""

from __future__ import annotations

from functools import partial

from blocks.loading import work_link
from faberdb.phase_pages import Link
from faberdb.project import Project


def link_of(project: Project) -> Link:
    """From a change's id to its address; "" where no tracker is known."""
    return partial(work_link, project)
