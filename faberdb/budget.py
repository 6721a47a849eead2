"""How long a step may take, how long it may wait for locks, and what is done about those who hold them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

_SECONDS: Final = ("lock_timeout_s", "statement_timeout_s", "concurrent_timeout_s", "patience_s", "idle_s")


class Budget(Struct, frozen=True, kw_only=True):
    """Bounds of one revision's execution, in seconds. All are positive: nothing waits without end.

    Whoever comes after a statement that waits for a lock waits behind it: so one wait is short, and between
    two of them the queue is left.
    """

    lock_timeout_s: float = 1  # one wait for a lock
    statement_timeout_s: float = 300
    concurrent_timeout_s: float = 3600  # a statement outside transactions, which nobody waits behind
    attempts: int = 20
    patience_s: float = 600  # all attempts of a revision and the waits between them
    end_idle: tuple[str, ...] = ()  # globs of application names whose idle transactions are ended
    idle_s: float = 60  # for how long such a transaction must have been idle

    def __post_init__(self) -> None:
        if min(self.attempts, *(getattr(self, name) for name in _SECONDS)) <= 0:
            raise ValueError("a budget's bounds are positive")
        for name in _SECONDS:  # 1 and 1.0 are one budget, and their plans have one digest
            force_setattr(self, name, float(getattr(self, name)))

    def text_for(self, *, concurrent: bool) -> str:
        """For people, without an end mark; `concurrent` where a statement of the step runs outside transactions."""
        ends = f"; ends transactions of {', '.join(self.end_idle)} that idle" if self.end_idle else ""
        return (
            f"a lock is waited for at most {self.lock_timeout_s:g} s, {self.attempts} times within"
            f" {self.patience_s:g} s{ends}; a statement takes at most {self.statement_timeout_s:g} s"
            + (f", one outside transactions {self.concurrent_timeout_s:g} s" if concurrent else "")
        )
