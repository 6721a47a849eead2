"""How long a step may take and how long it may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds of one revision's execution, in seconds. Both are positive: nothing waits without end."""

    lock_timeout_s: float = 5
    statement_timeout_s: float = 300

    def __post_init__(self) -> None:
        if self.lock_timeout_s <= 0 or self.statement_timeout_s <= 0:
            raise ValueError("a budget's bounds are positive")
