"""What Prefect's server does by itself about runs that die.

One automation tells a silent run from a living one: flow runs send heartbeats, and a run that stopped
sending is marked Crashed and recovered. The other hears of every crashed run of ours. Both start the recover
flow, which asks the ledger whether its release is continued or taken back.
"""

from __future__ import annotations

from typing import Any, Final

from deployments.api import PrefectApi

TAG: Final = "faber-db"  # on every deployment whose runs are recovered
NAMES: Final = (
    "faber-db: mark runs that stopped beating as crashed",
    "faber-db: recover releases of crashed runs",
)
_MISSED_BEATS: Final = 3
_RUN: Final = {"prefect.resource.id": "prefect.flow-run.*"}
_OURS: Final = {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
# A run that waits for a person beats no more and is not dead.
_AFTER_A_BEAT: Final = ("heartbeat", "Completed", "Failed", "Cancelled", "Cancelling", "Crashed", "Suspended")
_MORE: Final = ("Paused", "Scheduled", "AwaitingRetry", "Retrying", "Resuming")


def register_automations(api: PrefectApi, *, beat_s: int) -> None:
    """Create the two automations, or bring them up to date.

    Args:
        api: where.
        beat_s: seconds between two heartbeats of a run, as `PREFECT_FLOWS_HEARTBEAT_FREQUENCY` says.
    """
    recover = api.deployment_id("recover/faber-db")
    for automation in (_mark_silent_runs(beat_s, recover), _recover_crashed_runs(recover)):
        api.ensure_automation(automation)


def _mark_silent_runs(beat_s: int, recover: str) -> dict[str, Any]:
    return {
        "name": NAMES[0],
        "description": "A worker or its machine died with the run, so nobody else says it.",
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": _RUN,
            "match_related": _OURS,
            "for_each": ["prefect.resource.id"],
            "after": ["prefect.flow-run.heartbeat"],
            "expect": [f"prefect.flow-run.{state}" for state in (*_AFTER_A_BEAT, *_MORE)],
            "threshold": 1,
            "within": beat_s * _MISSED_BEATS + beat_s // 2,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"No heartbeat for {beat_s * _MISSED_BEATS} s: its process is gone.",
            },
            # Prefect 3.8 holds the event of a state back for 15 minutes when its server did not see the event
            # of the state before, as after a restart. Recovering twice is recovering once.
            _recovering(recover),
        ],
    }


def _recover_crashed_runs(deployment: str) -> dict[str, Any]:
    return {
        "name": NAMES[1],
        "description": "The ledger decides whether the release is continued or taken back.",
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": _RUN,
            "match_related": _OURS,
            "expect": ["prefect.flow-run.Crashed"],
            "threshold": 1,
            "within": 0,
        },
        "actions": [_recovering(deployment)],
    }


def _recovering(deployment: str) -> dict[str, Any]:
    return {
        "type": "run-deployment",
        "source": "selected",
        "deployment_id": deployment,
        "parameters": {"run": {"__prefect_kind": "jinja", "template": "{{ event.resource.id }}"}},
    }
