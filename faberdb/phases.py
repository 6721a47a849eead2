"""What a phase says of itself: that it began, and what it found, once per run."""

from __future__ import annotations

from faberdb.ledger import Kind, Ledger


def begin_phase(ledger: Ledger, phase: str, *, run: str, environment: str = "") -> None:
    """Write that a phase of a run began; a run that is resumed begins it no second time."""
    _once(ledger, Kind.PHASE_BEGUN, phase, run, environment, "")


def end_phase(ledger: Ledger, phase: str, text: str, *, run: str, environment: str = "") -> None:
    """Write what a phase found or did, in words."""
    _once(ledger, Kind.PHASE_ENDED, phase, run, environment, text)


def _once(ledger: Ledger, kind: Kind, phase: str, run: str, environment: str, text: str) -> None:
    before = ledger.entries(release=run, kind=kind)
    if not any(e.body["phase"] == phase for e in before):
        ledger.append(kind, release=run, environment=environment, body={"phase": phase, "text": text})
