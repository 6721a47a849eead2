"""Where a project's work items can be read, as a Prefect block."""

from __future__ import annotations

from urllib.parse import urlsplit

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, field_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import WORK_TRACKER


class WorkTracker(Block):
    """Where a change's work item can be read, so that reports link to it.

    A block named `<project>` is used for every report of the project.

    Example:
        ```python
        from blocks.work_tracker import WorkTracker

        block = WorkTracker.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    _block_type_name = "Work Tracker"
    _block_type_slug = WORK_TRACKER
    _documentation_url = DOCUMENTATION
    _description = "The address of a project's work items."

    url_template: str = Field(
        description="With {id} for the work item's id: https://github.com/acme/shop/issues/{id}."
    )

    @field_validator("url_template")
    @classmethod
    def _is_a_template(cls, template: str) -> str:
        try:
            parts = urlsplit(template)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or parts.scheme != "https":
            raise ValueError("url_template must begin with https:// and a host")
        if "@" in parts.netloc:
            raise ValueError("url_template must hold no login: it is shown in reports")
        if "{id}" in parts.netloc or "{id}" not in template:
            raise ValueError("url_template must have {id} after the host, where the work item's id goes")
        return template
