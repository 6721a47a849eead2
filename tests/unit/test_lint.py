"""Rules on text alone: what is told, what is ignored, and that nothing is told twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from faberdb.config.linting import LintSection
from faberdb.errors import Refused
from faberdb.lint.linting import Linted, lint_scripts
from faberdb.lint.live import Live, LiveRelation
from faberdb.lint.page import finding_lines, reference_page
from faberdb.lint.registry import BY_CODE, RULES
from faberdb.lint.squawk import Opinion, SecondOpinion
from faberdb.plan import Plan
from faberdb.revision import Revision
from faberdb.risk import Risk
from tests.unit.test_planner import FIRST, observed, plan

DOCS = Path(__file__).parents[2] / "docs" / "reference"
INDEX = "CREATE INDEX i ON account (note);"


def lint(script: str, **given: Any) -> Linted:
    return lint_scripts({"0002_next": script}, **given)["0002_next"]


def codes(script: str, **given: Any) -> list[str]:
    return [f.code for f in lint(script, **given).findings]


def live(**given: Any) -> Live:
    facts: dict[str, Any] = {"rows": 50, "size": 8192, "busy": False}
    return Live(relations={"account": LiveRelation(**{**facts, **given})}, time_zone="UTC")


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(RULES)


def test_the_reference_page_is_what_the_registry_says() -> None:
    assert (DOCS / "lint.md").read_text(encoding="utf-8") == reference_page()


def test_what_the_script_made_itself_is_left_alone() -> None:
    assert codes(f"CREATE TABLE account (id bigint PRIMARY KEY, note text); {INDEX}") == []


def test_what_an_earlier_script_of_the_same_plan_made_is_left_alone() -> None:
    found = lint_scripts({"a": "CREATE TABLE account (id bigint PRIMARY KEY, note text);", "b": INDEX})
    assert found["b"].findings == ()


def test_an_ignore_silences_its_code_at_its_statement_and_is_told_with_its_reason() -> None:
    said = "-- faber-db: ignore index-blocks-writes written to only at night"
    script = f"{said}\n{INDEX}\nCREATE INDEX j ON account (x);"
    first, second = lint(script).findings
    assert (first.line, first.ignored) == (2, "written to only at night")
    assert (second.line, second.ignored) == (3, "")


def test_an_ignore_at_the_head_silences_the_whole_script() -> None:
    script = (
        f"-- faber-db: ignore index-blocks-writes nobody writes\n\n{INDEX}\nCREATE INDEX j ON account (x);"
    )
    assert {f.ignored for f in lint(script).findings} == {"nobody writes"}


@pytest.mark.parametrize("bare", ["index-blocks-writes", "index-blocks-writes   ", ""])
def test_an_ignore_without_a_reason_is_refused_by_file_and_line(bare: str) -> None:
    with pytest.raises(Refused) as caught:
        lint(f"SELECT 1;\n-- faber-db: ignore {bare}\n{INDEX}")
    assert "0002_next, line 2" in caught.value.what
    assert "-- faber-db: ignore" in caught.value.next_step


def test_an_ignore_that_belongs_to_no_statement_is_refused() -> None:
    with pytest.raises(Refused, match="belongs to no statement"):
        lint(f"{INDEX}\n-- faber-db: ignore index-blocks-writes too late")


def test_an_ignore_inside_a_text_is_a_text() -> None:
    assert lint("SELECT '\n-- faber-db: ignore index-wide\n', $$\n-- faber-db: ignore\n$$;").notes == ()


@pytest.mark.parametrize(
    ("code", "note"),
    [("index-block-writes", "there is no rule 'index-block-writes'"), ("vacuum-full", "silences nothing")],
)
def test_an_ignore_that_silences_nothing_is_told(code: str, note: str) -> None:
    found = lint(f"-- faber-db: ignore {code} for a reason\n{INDEX}")
    assert note in found.notes[0]
    assert [f.ignored for f in found.findings] == [""]


def test_on_a_small_and_quiet_table_a_finding_is_low_and_says_why() -> None:
    (small,) = lint(INDEX, live=live()).findings
    (busy,) = lint(INDEX, live=live(busy=True)).findings
    (large,) = lint(INDEX, live=live(rows=10_000)).findings
    assert small.risk is Risk.LOW
    assert "about 50 rows, and little traffic" in small.message
    assert (busy.risk, large.risk) == (Risk.HIGH, Risk.HIGH)


def test_what_the_catalogue_shows_to_be_harmless_is_not_told() -> None:
    widening = "ALTER TABLE account ALTER COLUMN note TYPE varchar(40);"
    assert codes(widening) == ["change-type"]
    assert codes(widening, live=live(columns={"note": "character varying(20)"})) == []
    required = "ALTER TABLE account ALTER COLUMN note SET NOT NULL;"
    assert codes(required, live=live(nullable={"note"}, checked_not_null={"note"})) == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("ALTER TABLE a ADD COLUMN x text; UPDATE a SET x = 'y' WHERE id = 1;", ["backfill-with-ddl"]),
        (
            "ALTER TABLE a ADD CONSTRAINT c CHECK (x > 0) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT c;",
            ["validated-with-add"],
        ),
        (
            "ALTER TABLE a ADD COLUMN x text; UPDATE b SET x = 'y' WHERE id = 1;",
            ["work-under-exclusive-lock"],
        ),
    ],
)
def test_work_under_a_lock_is_told_once(script: str, told: list[str]) -> None:
    assert codes(script) == told


def test_optional_rules_speak_only_when_asked() -> None:
    script = "ALTER TABLE account ADD COLUMN points int;"
    assert codes(script) == []
    assert codes(script, options=LintSection(optional=("integer-column",))) == ["integer-column"]


def test_what_squawk_says_too_is_told_once_and_the_rest_under_its_name() -> None:
    opinions = {
        "0002_next": [
            Opinion(rule="require-concurrent-index-creation", line=1, message="x"),
            Opinion(rule="require-lock-timeout", line=1, message="x"),
            Opinion(rule="ban-revoke", line=1, message="y"),
        ]
    }
    assert codes(INDEX, opinions=opinions) == ["index-blocks-writes", "squawk:ban-revoke"]


def test_a_plan_tells_a_hazard_and_its_rule_once_under_the_policys_name() -> None:
    found = plan("DROP TABLE account")
    assert [f.code for f in found.findings] == ["drop_table"]
    assert "all its rows are gone" in found.findings[0].message
    assert found.findings[0].rewrite


def test_a_script_answers_the_policy_and_does_not_silence_it() -> None:
    said = plan("-- faber-db: ignore drop-table unused since March\nDROP TABLE account")
    assert (said.findings[0].ignored, said.risk) == ("", Risk.HIGH)
    assert "the script says: unused since March" in said.findings[0].message


def test_rules_move_neither_digest_nor_approval() -> None:
    def of(**given: Any) -> Plan:
        return plan(INDEX, observed=observed(**given))

    quiet, busy = of(live=live()), of(live=live(busy=True, rows=10**9))
    assert quiet.findings[0].risk is not busy.findings[0].risk
    assert (quiet.digest, quiet.approval, quiet.risk) == (busy.digest, busy.approval, busy.risk)


def test_findings_stand_in_the_order_of_the_statements() -> None:
    second = Revision(name="0003_more", checksum="3" * 64, script="DROP TABLE draft;")
    first = Revision(name="0002_next", checksum="2" * 64, script=f"{INDEX} DELETE FROM account;")
    found = plan("", revisions=[FIRST, first, second])
    assert [(f.revision, f.code) for f in found.findings if f.code != "work-under-exclusive-lock"] == [
        ("0002_next", "delete_without_where"),
        ("0002_next", "index-blocks-writes"),
        ("0003_more", "drop_table"),
    ]


def test_a_missing_squawk_is_one_note() -> None:
    found = plan(INDEX, second=SecondOpinion(opinions={}, note="squawk is not installed"))
    assert found.notes == ("squawk is not installed",)


def test_the_ignored_are_listed_after_what_weighs() -> None:
    script = f"-- faber-db: ignore index-blocks-writes at night\n{INDEX}\nDELETE FROM account;"
    lines = "\n".join(finding_lines(plan(script).findings))
    assert lines.index("delete_without_where") < lines.index("ignored, as at night: `index-blocks-writes`")


def test_ten_times_the_statements_are_about_ten_times_the_work() -> None:
    few, many = _calls(30), _calls(300)
    assert many < 20 * few


def _calls(statements: int) -> int:
    """How many functions are called to look at a script, which depends on no clock."""
    script = "\n".join(f"ALTER TABLE t{n} ADD COLUMN x text;" for n in range(statements))
    made = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert lint(script).findings
    finally:
        sys.setprofile(before)
    return made
