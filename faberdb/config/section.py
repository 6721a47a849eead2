"""What every section of the configuration is: frozen, and without unknown keys."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A table of the configuration."""

    # A section's validator is built when it is first used, so that the whole file's is the only one.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def preset(cls, **values: Any) -> Self:
        """What holds where the file says nothing of the section; unchecked, because checking builds a validator."""
        return super().model_construct(**values)
