"""Every error faber-db raises on purpose, classed by what the caller can do next.

A message says what happened, why, and the next command to type. Callers branch on the class, never on
the text. An error carries no secret: connection strings do not enter it.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class FaberError(Exception):
    """Something faber-db can explain.

    Args:
        what: what happened, one sentence.
        why: the usual cause or the evidence, when there is one.
        next_step: the command or edit that comes next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step

    @property
    def reason(self) -> str:
        """What and why on one line."""
        return f"{self.what} {self.why}".strip()

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"Why: {self.why}")
        if self.next_step:
            lines.append(f"Next: {self.next_step}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.why, self.next_step))


def _rebuild(kind: type[FaberError], what: str, why: str, next_step: str) -> FaberError:
    return kind(what, why=why, next_step=next_step)


class Refused(FaberError):
    """Nothing was touched: change the input or the policy, then try again."""

    exit_code = 3


class ConfigInvalid(Refused):
    """The configuration has a key, a value or a combination that cannot work."""


class VariableMissing(Refused):
    """An environment variable that the configuration names is not set."""


class AuthenticationFailed(Refused):
    """The server turned the credentials away."""


class DatabaseMissing(Refused):
    """The server answered, and has no database of that name."""


class HistoryRefused(Refused):
    """The revisions on disk and the tool's tracking table do not agree."""


class UnreadableSql(Refused):
    """PostgreSQL's own grammar does not accept a revision's text."""


class PlanStale(Refused):
    """The plan no longer describes what would run, or the database moved since it was made."""


class NotApproved(Refused):
    """The plan's digest has no valid approval."""


class ApprovalPending(Refused):
    """The release waits for a person; nothing runs until they decide."""

    exit_code = 7


class BlockedByPolicy(Refused):
    """The configured safety policy forbids a statement of this plan."""


class EnvironmentBusy(Refused):
    """Another release holds the environment's lock."""


class SnapshotUnusable(Refused):
    """A snapshot is corrupt, truncated, missing or belongs to another database."""


class Transient(FaberError):
    """Nothing lasting happened, and the same call may succeed later."""

    exit_code = 4


class ServerUnreachable(Transient):
    """No PostgreSQL server answered in time."""


class Contended(Transient):
    """Other transactions were in the way of a step: a lock, a deadlock, a serialization failure."""


class Failed(FaberError):
    """Effects may have happened: compensate, or probe before trying again."""

    exit_code = 5


class RevisionFailed(Failed):
    """A revision's statements failed on the database.

    Args:
        what: what happened, one sentence.
        why: PostgreSQL's own words.
        next_step: the command or edit that comes next.
        revision: its name.
        effects: "none" when its transaction was rolled back, "uncertain" when some may have stayed.
        line: of the failed statement in the revision's script, None where it is not known.
        sqlstate: PostgreSQL's code, "" where the connection was lost.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next_step: str = "",
        revision: str = "",
        effects: Literal["none", "uncertain"] = "uncertain",
        line: int | None = None,
        sqlstate: str = "",
    ) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.revision = revision
        self.effects = effects
        self.line = line
        self.sqlstate = sqlstate

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.why, self.next_step), self.__dict__.copy())


class VerificationFailed(Failed):
    """The database does not look as the plan says it must after the release."""


class CommandFailed(Failed):
    """A program that the project or a tool brings ended with an error or ran out of time."""


class CompensationFailed(FaberError):
    """The undo failed too: a person has to look. Both causes are in the message."""

    exit_code = 6


class TakenBack(Failed):
    """A release failed after its first effect, and the environment is as it was before it."""
