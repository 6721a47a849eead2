"""Offers as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from faberdb.safer.offer import Offer


def offers_markdown(environment: str, offers: Sequence[Offer]) -> str:
    """The lock-safe forms of what is pending in an environment."""
    if not offers:
        return f"Nothing that is pending for **{environment}** has a safer form to offer.\n"
    lines: list[str] = []
    for offer in offers:
        proof = "proven equal on a copy of the schema" if offer.equal else f"**not equal**: {offer.unequal}"
        lines += [f"## {offer.revision}", ""]
        lines += [f"- {why}" for why in offer.why]
        lines += ["", f"In {len(offer.parts)} parts, {proof}", ""]
        for part in offer.parts:
            lines += [f"`{part.name}`", "", "```sql", part.script.rstrip(), "```", ""]
    return "\n".join(lines) + "\n"
