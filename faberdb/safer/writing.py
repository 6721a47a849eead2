"""Writing an offer: new revisions in the place of one that no environment has applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from faberdb.errors import Refused
from faberdb.safer.offer import Offer
from faberdb.tools.protocol import MigrationTool

KEPT: Final = "replaced"  # the folder of withdrawn revisions, in the project's home


def write_offers(
    tool: MigrationTool, offers: Sequence[Offer], *, applied: Mapping[str, Collection[str]], home: Path
) -> tuple[Path, ...]:
    """Write the parts of those that were proven equal, and withdraw the revisions that they replace.

    Args:
        tool: the project's.
        offers: for one environment; those not proven equal are left out.
        applied: names of revisions that are on record in each of the project's environments.
        home: the project's folder for what it keeps; the withdrawn scripts stay in `replaced/` there.

    Returns:
        The new files.

    Raises:
        Refused: a revision is on record somewhere, or nothing is to be written; nothing was written.
    """
    chosen = [offer for offer in offers if offer.equal]
    if not chosen:
        raise Refused(
            "There is nothing to write: no pending revision has a lock-safe form that was proven equal."
        )
    for offer in chosen:
        _refuse_applied(offer, applied)
    on_disk = {r.name: r.checksum for r in tool.revisions()}
    for offer in chosen:
        if on_disk.get(offer.revision) != offer.checksum:
            raise Refused(
                f"{offer.revision} was edited just now; nothing was written.", next_step="try again"
            )
    written = []
    for offer in chosen:
        written += [tool.write_revision(part.name, part.script) for part in offer.parts]
        tool.withdraw_revision(offer.revision, home / KEPT)
    return tuple(written)


def _refuse_applied(offer: Offer, applied: Mapping[str, Collection[str]]) -> None:
    where = [name for name, revisions in applied.items() if offer.revision in revisions]
    if where:
        raise Refused(
            f"{offer.revision} is applied in {', '.join(where)}; nothing was written.",
            why="An applied revision is never edited: its environments would have another history than its files.",
            next_step=f"take it back there first (faber-db rollback {where[0]}), or create {where[0]} anew",
        )
