"""What becomes of a release whose run died: the ledger decides.

A step that failed and was not compensated is taken back. Everything else is continued: its steps are
ensures, and an intention without an outcome is a question that the next run asks the database. So is a step
that failed because the server was away.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from faberdb.ledger import Kind
from faberdb.release.lock import lock_holder
from faberdb.release.record import Outcome, Release, newest_release, newest_touching
from faberdb.target import Target

_TRIES: Final = 3


class Course(StrEnum):
    """What to do about a dead run."""

    CONTINUE = "continue"
    COMPENSATE = "compensate"
    NOTHING = "nothing"  # no release is left in the air
    STOP = "stop"  # it died as often as it was tried


class Recovery(Struct, frozen=True, kw_only=True):
    """A decision, and why."""

    course: Course
    release: str  # "" where there is none
    environment: str
    commit: str  # the plan's, "" where it has none
    why: str


def decide(release: Release | None, *, run: str, tries: int, taking_back: bool) -> Recovery:
    """The course for an environment's newest release.

    Args:
        release: as the ledger tells it; None where there was never one.
        run: the key of the run that died.
        tries: how often it was recovered before.
        taking_back: whether the run was to take a release back.
    """
    course, why = _course(release, run, tries, taking_back)
    nothing = release is None or course is Course.NOTHING
    return Recovery(
        course=course,
        release="" if nothing or release is None else release.id,
        environment=release.environment if release else "",
        commit=release.plan.commit.removesuffix("-dirty") if release else "",
        why=why,
    )


def _course(release: Release | None, run: str, tries: int, taking_back: bool) -> tuple[Course, str]:
    if release is None or not _unfinished(release, taking_back):
        return Course.NOTHING, "no release is open"
    if not release.touched and release.run != run:
        return Course.NOTHING, "the open release belongs to another run and changed nothing yet"
    if tries >= _TRIES:
        return Course.STOP, f"its runs died {tries + 1} times"
    failed = [s.step for s in release.steps.values() if s.kind is Kind.STEP_FAILED and not s.transient]
    if release.touched and failed and not release.rollback_opened:
        return Course.COMPENSATE, f"the step {failed[-1]!r} failed and nothing took it back"
    return Course.CONTINUE, _what_goes_on(release)


def _unfinished(release: Release, taking_back: bool) -> bool:
    """Open, or finished once and now half taken back by the run that died."""
    return release.open or (taking_back and release.rollback_opened and release.outcome is Outcome.RELEASED)


def _what_goes_on(release: Release) -> str:
    if release.rollback_opened:
        return "it is being taken back, and that is finished"
    if release.touched:
        return "no step failed; what was begun is looked at and finished"
    return "nothing was changed yet; it goes on from its beginning"


def recover(target: Target, *, run: str, taking_back: bool) -> Recovery:
    """Decide about the release that the dead run may have left, and write the decision.

    A release that a living process works on is left to it.

    Args:
        target: the environment.
        run: the key of the run that died.
        taking_back: whether it was to take a release back: a younger one may have been opened since, and
            then it is not the newest that is half taken back.
    """
    newest = newest_touching if taking_back else newest_release
    release = newest(target.ledger, target.name)
    if release is not None and lock_holder(target.dsn):
        return decide(None, run=run, tries=0, taking_back=taking_back)
    with target.ledger.alone():
        before = target.ledger.entries(release=release.id, kind=Kind.RECOVERY_DECIDED) if release else []
        known = {e.body["run"] for e in before}
        decided = decide(release, run=run, tries=len(known - {run}), taking_back=taking_back)
        if decided.release and run not in known:
            target.ledger.append(
                Kind.RECOVERY_DECIDED,
                release=decided.release,
                environment=target.name,
                body={"course": decided.course.value, "why": decided.why, "run": run},
            )
    return decided
