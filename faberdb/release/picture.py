"""What a release or a plan does to the schema, as a picture: the schemas that the ledger kept, compared.

Reads the ledger and, at most, the live schema. Refuses to know how anything is drawn.
"""

from __future__ import annotations

from faberdb.catalog import Schema
from faberdb.diagram import Picture, change_svg, compared, svg_image
from faberdb.errors import DatabaseMissing, Refused
from faberdb.ledger import Kind, Ledger
from faberdb.ledger.schemas import kept_schema
from faberdb.release.evidence import Evidence
from faberdb.release.record import left_by
from faberdb.target import Target


def live_schema(target: Target) -> Schema:
    """The environment's schema now, the tool's own tables left out.

    Raises:
        DatabaseMissing: there is no database yet.
    """
    try:
        return target.schema()
    except DatabaseMissing as error:
        raise DatabaseMissing(
            f"{target.name} has no database yet.",
            why=error.what,
            next_step=f"faber-db db-create {target.name}, then faber-db migrate {target.name}",
        ) from None


def picture_of_release(target: Target, release: str) -> Picture:
    """What a release changed: the schema that its plan started from against the one that it left.

    Raises:
        Refused: the ledger has no such release, it left no schema, or a schema was not kept and is not the
            environment's schema now.
    """
    record, left = left_by(target.ledger, target.name, release)
    now: Schema | None = None
    found: list[Schema] = []
    for fingerprint, moment in ((record.plan.fingerprint, "before it"), (left, "after it")):
        schema = kept_schema(target.ledger, fingerprint)
        if schema is None:
            now = now or live_schema(target)
            schema = now if now.fingerprint == fingerprint else None
        if schema is None:
            raise Refused(
                f"The schema as it was {moment} is not on record, so the change cannot be drawn.",
                why=f"{release} was made before faber-db kept schemas, and the schema"
                f" {fingerprint[:12]} is not {target.name}'s now.",
                next_step=f"faber-db schema diagram {target.name}",
            )
        found.append(schema)
    return compared(*found)


def evidence_picture(ledger: Ledger, evidence: Evidence | None) -> str:
    """What a rehearsed plan changed on the copy, as Markdown that carries the picture.

    Returns:
        "" while that is not known: nothing was rehearsed, it failed, or it was before schemas were kept.
    """
    if evidence is None or not evidence.fingerprint_after:
        return ""
    frozen = ledger.newest(Kind.PLAN_FROZEN, release=evidence.digest)
    before = kept_schema(ledger, frozen.body["fingerprint"]) if frozen else None
    after = kept_schema(ledger, evidence.fingerprint_after)
    if before is None or after is None:
        return ""
    svg = change_svg(compared(before, after), title=f"Plan {evidence.digest[:12]}: what it changes")
    return svg_image(svg, "what the plan changes in the schema") if svg else ""
