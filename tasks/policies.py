"""The ways a task may be tried again. Every task of faber-db declares one of them.

A cached result never stands for an effect: the ledger and the database are asked each time, because a
task's cache key changes with its source and a release may be resumed days after it was suspended. What is kept
is one kind of choice: which commit a run works on.
"""

from __future__ import annotations

from typing import Any, Final

from prefect.cache_policies import INPUTS, NO_CACHE, RUN_ID

from faberdb.errors import Contended, Transient


def only_transient(task: Any, task_run: Any, state: Any) -> bool:
    """Try again only when nothing lasting happened and the same call may succeed later.

    What ended for other transactions' locks was tried for as long as its plan says already.
    """
    result = state.result(raise_on_failure=False)
    return isinstance(result, Transient) and not isinstance(result, Contended)


READ: Final[dict[str, Any]] = {
    "retries": 3,
    "retry_delay_seconds": [1, 3, 10],
    "retry_condition_fn": only_transient,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""Looks and changes nothing."""

IDEMPOTENT: Final[dict[str, Any]] = {**READ, "retries": 4, "retry_delay_seconds": [1, 5, 15, 30]}
"""An ensure: after a transient failure it is run again and does what is left."""

ONCE: Final[dict[str, Any]] = {
    "retries": 0,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""An ensure whose failure is a decision for a person or for the compensating flow, not for a retry."""

CHOICE: Final[dict[str, Any]] = {
    **READ,
    "cache_policy": INPUTS + RUN_ID,
    "persist_result": True,
    "result_serializer": "json",
}
"""Chooses once for a run: after a suspension it answers as before, though the world moved on."""
