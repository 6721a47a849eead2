"""What the rules say of a plan's scripts, beside what the policy says: one finding told once.

The rules describe. Risk, approval and what is blocked follow from the policy alone: they are part of what is
approved, and must not move with the traffic on a table, nor with a comment in a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from faberdb.config.linting import LintSection
from faberdb.lint.live import Live
from faberdb.lint.squawk import SecondOpinion
from faberdb.revision import Revision
from faberdb.risk import Finding


def advise(
    revisions: Sequence[Revision],
    judged: Mapping[tuple[str, int], Sequence[Finding]],
    live: Live,
    options: LintSection | None,
    second: SecondOpinion | None,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings of policy and rules in the order of the statements, and notes.

    Args:
        revisions: those whose statements run, in order.
        judged: the policy's findings by revision and line.
        live: what the database says of the relations.
        options: the project's.
        second: squawk's opinion.
    """
    if not revisions:
        return tuple(f for found in judged.values() for f in found), ()
    from faberdb.lint.linting import Told, lint_scripts  # noqa: PLC0415 -- the grammar costs 0.2 s to load

    opinions = second.opinions if second else {}
    linted = lint_scripts(
        {r.name: r.script for r in revisions}, live=live, options=options, opinions=opinions
    )
    said: dict[tuple[str, int], list[Told]] = {}
    for name, found in linted.items():
        for told in found.told:
            said.setdefault((name, told.finding.line), []).append(told)
    findings: list[Finding] = []
    for place in dict.fromkeys((*judged, *said)):
        rest = said.get(place, [])
        for policys in judged.get(place, ()):
            same = [t.finding for t in rest if t.hazard is not None and t.hazard.value == policys.code]
            rest = [t for t in rest if t.hazard is None or t.hazard.value != policys.code]
            findings.append(_joined(replace(policys, revision=place[0], line=place[1]), same))
        findings += [t.finding for t in rest]
    order = {r.name: number for number, r in enumerate(revisions)}
    findings.sort(key=lambda f: (order.get(f.revision, len(order)), f.line))
    notes = tuple(note for found in linted.values() for note in found.notes)
    return tuple(findings), notes + ((second.note,) if second and second.note else ())


def _joined(policys: Finding, rules: Sequence[Finding]) -> Finding:
    """The policy's finding with what the rules add; a script cannot silence the policy, only answer it."""
    for rule in rules:
        message = f"{policys.message}; {rule.message}"
        if rule.ignored:
            message += f"; the script says: {rule.ignored}"
        policys = replace(policys, message=message, rewrite=policys.rewrite or rule.rewrite)
    return policys
