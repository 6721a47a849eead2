"""From scripts to findings. Pure: the database was observed, and squawk was asked, before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.config.linting import LintSection
from faberdb.lint.ignoring import Ignore, ignores_of
from faberdb.lint.live import Live
from faberdb.lint.reading import looks
from faberdb.lint.registry import BY_CODE, RULES, SETTLED
from faberdb.lint.rule import Hit, Look, Rule
from faberdb.lint.squawk import Opinion
from faberdb.risk import Finding, Risk
from faberdb.statements import Hazard, Statement, parse_script

_FOREIGN: Final = "squawk:"


class Told(Struct, frozen=True, kw_only=True):
    """A finding, and the hazard that a policy may have said the same of."""

    finding: Finding
    hazard: Hazard | None


class Linted(Struct, frozen=True, kw_only=True):
    """What was found in one script."""

    told: tuple[Told, ...]
    notes: tuple[str, ...]  # ignores that silence nothing

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, the ignored too."""
        return tuple(t.finding for t in self.told)


def lint_scripts(
    scripts: Mapping[str, str],
    *,
    live: Live | None = None,
    options: LintSection | None = None,
    opinions: Mapping[str, Sequence[Opinion]] | None = None,
) -> dict[str, Linted]:
    """Look at scripts that run one after the other; what one makes is new to the next.

    Args:
        scripts: by name, in order.
        live: what the observed database says; without it, only the text counts.
        options: the project's.
        opinions: squawk's, by script.

    Raises:
        UnreadableSql: a script is not PostgreSQL.
        Refused: an ignore has no reason.
    """
    created: set[str] = set()
    found = {}
    for name, script in scripts.items():
        statements = parse_script(script, source=name)
        found[name] = _lint(
            name,
            script,
            statements,
            live or Live(),
            options or LintSection(),
            created,
            (opinions or {}).get(name, ()),
        )
        created.update(c for s in statements for c in s.creates)
    return found


def _lint(
    source: str,
    script: str,
    statements: Sequence[Statement],
    live: Live,
    options: LintSection,
    created: Collection[str],
    opinions: Sequence[Opinion],
) -> Linted:
    ignores = ignores_of(script, statements, source=source)
    told = [
        Told(finding=_finding(source, look, rule, hit, options), hazard=rule.hazard)
        for look in looks(statements, live, created)
        for rule in RULES
        if not rule.optional or rule.code in options.optional
        for hit in rule.check(look)
    ]
    told += [Told(finding=f, hazard=None) for f in _foreign(source, statements, opinions)]
    told.sort(key=lambda t: t.finding.line)
    return Linted(
        told=tuple(replace(t, finding=_after(t.finding, ignores)) for t in told),
        notes=tuple(_idle(source, ignores, [t.finding for t in told])),
    )


def _finding(source: str, look: Look, rule: Rule, hit: Hit, options: LintSection) -> Finding:
    risk, message = rule.risk, hit.message
    known = [r for r in map(look.live.relation, hit.relations) if r is not None]
    if hit.relations and len(known) == len(hit.relations) and risk is not Risk.LOW:
        most = max(r.rows for r in known)
        if most < options.small_table_rows and not any(r.busy for r in known):
            risk = Risk.LOW
            message += f" (low here: about {most:,} rows, and little traffic)"
        else:
            message += f" (about {most:,} rows{', in use now' if any(r.busy for r in known) else ''})"
    return Finding(
        code=rule.code,
        risk=risk,
        message=message,
        revision=source,
        line=look.statement.line,
        rewrite=hit.rewrite,
    )


def _foreign(source: str, statements: Sequence[Statement], opinions: Sequence[Opinion]) -> Iterator[Finding]:
    """What squawk says and no rule of ours has looked at."""
    ours = {name for rule in RULES for name in rule.squawk} | SETTLED
    seen = set()
    for opinion in opinions:
        line = max((s.line for s in statements if s.line <= opinion.line), default=opinion.line)
        if opinion.rule not in ours and (opinion.rule, line) not in seen:
            seen.add((opinion.rule, line))
            yield Finding(
                code=_FOREIGN + opinion.rule,
                risk=Risk.LOW,
                message=opinion.message,
                revision=source,
                line=line,
            )


def _after(finding: Finding, ignores: Sequence[Ignore]) -> Finding:
    reason = next((i.reason for i in ignores if i.covers(finding.code, finding.line)), "")
    return replace(finding, ignored=reason) if reason else finding


def _idle(source: str, ignores: Sequence[Ignore], findings: Sequence[Finding]) -> Iterator[str]:
    for ignore in ignores:
        if ignore.code not in BY_CODE and not ignore.code.startswith(_FOREIGN):
            yield f"{source}, line {ignore.line}: there is no rule {ignore.code!r} to ignore"
        elif not any(ignore.covers(f.code, f.line) for f in findings):
            yield f"{source}, line {ignore.line}: ignoring {ignore.code} silences nothing"
