"""What others hear of a release: one Prefect event per fact, and a word to people where they should act.

A fact is announced where the ledger learns it, by looking at what a task left in the ledger. Telling is a
courtesy: when Prefect or a mail server is away, the release goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.worker import should_emit_events
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from blocks.notifier import Event
from blocks.notifying import notify
from faberdb.errors import CompensationFailed
from faberdb.ledger import Kind
from faberdb.release import permission
from faberdb.release.facts import TOLD_TO_PEOPLE, Fact, What, facts_of, message, tells
from faberdb.release.journal import LISTENERS, Moment, Stage
from faberdb.release.record import Release, read_release
from faberdb.target import Target

_LOG: Final = logging.getLogger("faber-db.announcing")
_TOLD: Final[set[UUID]] = set()  # by this process; a task repeats what is in the ledger, not what it said
_LOOKED: Final[set[str]] = set()  # releases whose past this process knows
_DAYS_BACK_S: Final = 7 * 86400  # Prefect keeps events for a week: older ones would look new to it


@contextmanager
def announced(target: Target, release: str = "") -> Iterator[None]:
    """Tell what the ledger learns inside.

    Args:
        target: the environment.
        release: the release that is worked on; "" for whichever is opened or asked about inside.
    """
    since = _last_seq(target)

    def listen(moment: Moment) -> None:
        # Applying may take an hour, and a dashboard should show it then, not afterwards.
        if moment.stage is Stage.INTENDED and moment.step == "apply" and moment.release == release:
            _announce(target, release, since)

    LISTENERS.append(listen)
    try:
        yield
    except CompensationFailed:
        if release:
            announce_failure(target, release)
        raise
    finally:
        LISTENERS.remove(listen)
        for name in [release] if release else _begun(target, since):
            _announce(target, name, since)


def announce_failure(target: Target, release: str) -> None:
    """Tell that a release could not be taken back; the ledger has no entry for what did not happen."""
    try:
        record = read_release(target.ledger, release)
        fact = Fact(what=What.FAILED, about=record.id, at=datetime.now(UTC), seq=0, outcome="failed")
        if fact.id not in _TOLD:
            _tell(target, record, [fact])
            _notify(target, record, fact)
    except Exception as error:
        _LOG.warning("The failure of %s could not be announced: %s", release, type(error).__name__)


def _announce(target: Target, release: str, since: int) -> None:
    """Emit what was not emitted yet; notify people of what is new since a ledger entry."""
    try:
        later = target.ledger.entries(environment=target.name, after=since)
        if release in _LOOKED and not any(tells(e) for e in later if release in e.release):
            return
        _LOOKED.add(release)
        entries = target.ledger.entries(release=release)
        undo = target.ledger.entries(release=f"{release}/rollback")
        record = read_release(target.ledger, release)
        verdict = permission.permission(target, record) if record.votes else None
        fresh = [f for f in facts_of([*entries, *undo], verdict) if f.id not in _TOLD]
        new = [f for f in fresh if f.seq > since]
        known = _emitted([f.id for f in fresh if f not in new])
        _TOLD.update(known)
        untold = [f for f in fresh if f.id not in known and _recent(f)]
        _tell(target, record, untold)
        for fact in untold:
            # Prefect stores events in batches, so an answer within seconds may outrun the question in there.
            if fact in new or fact.what is not What.WAITING:
                _notify(target, record, fact)
    except Exception as error:
        # Its class only: texts of other people's errors may hold addresses with passwords in them.
        _LOG.warning("What became of %s could not be announced: %s", release, type(error).__name__)


def _tell(target: Target, release: Release, facts: Sequence[Fact]) -> None:
    for fact in facts:
        emit_event(
            event=f"faber-db.release.{fact.what.value}",
            id=fact.id,
            occurred=fact.at,
            resource={
                "prefect.resource.id": f"faber-db.release.{release.id}",
                "prefect.resource.name": release.id,
            },
            related=_related(target),  # Prefect adds the flow run and its deployment by itself
            payload={
                "environment": release.environment,
                "digest": release.digest,
                "change": release.plan.change,
                "commit": release.plan.commit,
                "outcome": fact.outcome,
            },
        )
        _TOLD.add(fact.id)


def _related(target: Target) -> list[dict[str, str]]:
    project = target.project.name
    return [
        {"prefect.resource.id": f"faber-db.project.{project}", "prefect.resource.role": "project"},
        {
            "prefect.resource.id": f"faber-db.environment.{project}.{target.name}",
            "prefect.resource.role": "environment",
        },
    ]


def _emitted(ids: Sequence[UUID]) -> set[UUID]:
    """Which of these Prefect has already: a run that was suspended goes on in a process that told nothing."""
    if not ids or not should_emit_events():
        return set(ids)
    query = {"filter": {"id": {"id": [str(i) for i in ids]}}, "limit": 50}
    with get_client(sync_client=True) as client:
        response = client.request("POST", "/events/filter", json=query, timeout=10)
        response.raise_for_status()
        return {UUID(e["id"]) for e in response.json()["events"]}


def _notify(target: Target, release: Release, fact: Fact) -> None:
    if fact.what not in TOLD_TO_PEOPLE:
        return
    subject, body = message(release, fact, _run_url())
    notify(target.project, Event(fact.what.value.replace("-", "_")), subject, body)


def _run_url() -> str:
    run = flow_run.root_flow_run_id or flow_run.id
    return (url_for("flow-run", obj_id=str(run)) or "") if run else ""


def _recent(fact: Fact) -> bool:
    return (datetime.now(UTC) - fact.at).total_seconds() < _DAYS_BACK_S


def _last_seq(target: Target) -> int:
    newest = target.ledger.newest()
    return newest.seq if newest else 0


def _begun(target: Target, since: int) -> list[str]:
    entries = target.ledger.entries(environment=target.name, after=since)
    kinds = {Kind.RELEASE_OPENED, Kind.APPROVAL_ASKED, Kind.RELEASE_CLOSED}
    return list(dict.fromkeys(e.release.removesuffix("/rollback") for e in entries if e.kind in kinds))
