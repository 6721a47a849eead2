"""Findings and rules as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from faberdb.lint.example import EXAMPLE_SCHEMA
from faberdb.markdown import one_line
from faberdb.risk import Finding


def finding_lines(findings: Sequence[Finding], *, rewrites: bool = True) -> Iterator[str]:
    """A list in Markdown: what weighs, with its safer form if wanted; then what the scripts ignore, and why."""
    for finding in findings:
        if not finding.ignored:
            yield f"- {'**blocked** ' if finding.blocks else ''}{finding.risk.value}: {_said(finding)}"
            if rewrites and finding.rewrite:
                yield from _fenced(finding.rewrite)
    for finding in findings:
        if finding.ignored:
            yield f"- ignored, as {one_line(finding.ignored)}: {_said(finding)}"


def _said(finding: Finding) -> str:
    if not finding.revision:
        return one_line(finding.message)
    return f"`{finding.code}` ({finding.revision}, line {finding.line}): {one_line(finding.message)}"


def _fenced(sql: str) -> Iterator[str]:
    """A block that belongs to the list's item."""
    if all(line.startswith("--") for line in sql.splitlines()):
        yield f"  Safer: {one_line(sql.replace('--', ''))}."
        return
    yield ""
    yield "  ```sql"
    yield from (f"  {line}" for line in sql.splitlines() if not line.lstrip().startswith("```"))
    yield "  ```"
    yield ""


def reference_page() -> str:
    """The Markdown of `docs/reference/lint.md`."""
    from faberdb.lint.registry import RULES  # noqa: PLC0415 -- the grammar costs 0.2 s to load

    lines = [
        "# Reference: lint rules",
        "",
        "What faber-db says of statements that hurt a running application: in every plan, and by"
        " `faber-db lint`, which",
        "needs neither a database nor Prefect. A relation that the same scripts make is nobody's"
        " yet, and is left alone.",
        "With a database, sizes, traffic, types, indexes and dependents are seen: on a small and"
        " quiet table a finding",
        "is told as low, and what the catalogue shows to be harmless is not told. squawk is asked too, where it is",
        "installed: what only it finds is told as `squawk:<its rule>`.",
        "",
        "Findings of rules describe. Whether a plan needs approval, and which, and whether it is"
        " blocked, follows from",
        "`[safety]` alone. Where a rule and the policy speak of the same, it is told once, under the policy's name.",
        "",
        "To leave a statement as it is, say why, directly before it:",
        "",
        "```sql",
        "-- faber-db: ignore index-blocks-writes the table is written to only at night",
        "CREATE INDEX account_note ON account (note);",
        "```",
        "",
        "At the head of a script, with an empty line after it, it holds for all of it. The reason"
        " is needed, and stands",
        "in the plan. What the policy says cannot be ignored; the reason is shown beside it.",
        "",
        "Codes are words, so that an ignore can be read without this page. Optional rules are named"
        " in `lint.optional`.",
        "",
        "| code | risk | what |",
        "| --- | --- | --- |",
    ]
    for rule in RULES:
        optional = " (optional)" if rule.optional else ""
        lines.append(f"| [`{rule.code}`](#{rule.code}) | {rule.risk.value} | {rule.title}{optional} |")
    for rule in RULES:
        lines += ["", f"## {rule.code}", "", f"{rule.title}. {rule.why}", ""]
        if rule.squawk:
            lines += [f"squawk: {', '.join(f'`{name}`' for name in rule.squawk)}.", ""]
        lines += ["```sql", "-- told", rule.bad, "", "-- not told", rule.good, "```"]
    lines += ["", "## The examples' schema", "", "```sql", EXAMPLE_SCHEMA.rstrip(), "```"]
    return "\n".join(lines) + "\n"
