"""What a trace of a connection says of its statements, without a server."""

from __future__ import annotations

import pytest

from faberdb.witness.course import course_of
from faberdb.witness.looks import Elapsed, Look, read_message, spelled
from faberdb.witness.page import disagreements, in_brief, witness_page
from faberdb.witness.wire import RoundTrip, read_trace
from tests.unit.test_phase_pages import SEEN


def line(second: str, rest: str) -> bytes:
    return f"2026-11-24 04:00:{second}\t{rest}\n".encode()


def query(second: str, text: str) -> bytes:
    return line(second, f'F\t{len(text.encode()) + 5}\tQuery\t "{text}"')


def look(at: float, what: str, tag: str, transaction: str = "3/1") -> Look:
    return Look(
        at=at,
        what=what,
        tag=tag,
        transaction=transaction,
        locks=frozenset(),
        names={},
        counts={},
        rewrite=None,
    )


def test_results_and_messages_keep_their_order() -> None:
    trace = (
        query("01.000000", "BEGIN; ALTER TABLE a ADD b int; COMMIT")
        + line("01.500000", 'B\t10\tCommandComplete\t "BEGIN"')
        + line("01.500000", 'B\t90\tNoticeResponse\t S "INFO" V "INFO"')
        + line("01.500000", 'B\t16\tCommandComplete\t "ALTER TABLE"')
        + line("01.600000", 'B\t11\tCommandComplete\t "COMMIT"')
        + line("01.600000", "B\t5\tReadyForQuery\t I")
    )
    (trip,) = read_trace(trace)
    assert trip.text == "BEGIN; ALTER TABLE a ADD b int; COMMIT"
    assert trip.parts == [("done", "BEGIN"), ("notice", ""), ("done", "ALTER TABLE"), ("done", "COMMIT")]
    assert trip.ready - trip.sent == pytest.approx(0.6)


def test_a_script_that_looks_like_a_trace_is_only_a_script() -> None:
    text = "SELECT 'ü\n2026-11-24 04:00:02.000000\tB\t10\tCommandComplete\t \"DROP TABLE\"'"
    trace = query("01.000000", text) + line("03.000000", 'B\t13\tCommandComplete\t "SELECT 1"')
    (trip,) = read_trace(trace)
    assert (trip.text, trip.parts) == (text, [("done", "SELECT 1")])


def test_what_others_leave_of_a_round_trip_is_the_time_of_the_statement_that_tells_none() -> None:
    trip = RoundTrip(
        text="BEGIN; DO $$ BEGIN END $$; UPDATE a SET b = 1; COMMIT",
        sent=100.0,
        ready=103.0,
        parts=[("done", "BEGIN"), ("done", "DO"), ("notice", ""), ("done", "UPDATE 5"), ("done", "COMMIT")],
    )
    _, block, update, commit = course_of([trip], [Elapsed(seconds=1.0)], ahead_s=10.0)
    assert (block.begin, block.end, block.exact) == (110.0, 112.0, True)
    assert (update.begin, update.end) == (112.0, 113.0)
    assert commit.transaction is block.transaction
    assert commit.transaction.end == 113.0


def test_two_statements_that_tell_no_time_are_about_right_only() -> None:
    trip = RoundTrip(
        text="TRUNCATE a; TRUNCATE b",
        sent=0.0,
        ready=2.0,
        parts=[("done", "TRUNCATE TABLE"), ("done", "TRUNCATE TABLE")],
    )
    assert [(r.end - r.begin, r.exact) for r in course_of([trip], [], ahead_s=0.0)] == [
        (1.0, False),
        (1.0, False),
    ]


def test_a_command_that_was_looked_at_has_its_own_time() -> None:
    trip = RoundTrip(
        text="ALTER TABLE a ADD b int",
        sent=0.0,
        ready=5.0,
        parts=[("notice", ""), ("notice", ""), ("done", "ALTER TABLE")],
    )
    looks = [look(1.0, "ddl_command_start", "ALTER TABLE"), look(3.0, "ddl_command_end", "ALTER TABLE")]
    (ran,) = course_of([trip], looks, ahead_s=0.0)
    assert (ran.begin, ran.end, ran.transaction.end) == (1.0, 3.0, 5.0)


def test_a_failure_ends_its_message() -> None:
    trip = RoundTrip(
        text="SELECT 1; DROP TABLE a; SELECT 2", sent=0, ready=1, parts=[("done", "SELECT 1"), ("error", "")]
    )
    assert [r.failed for r in course_of([trip], [], ahead_s=0.0)] == [False, True]


def test_messages_of_others_say_nothing_to_us() -> None:
    assert read_message("relation exists, skipping", "") is None
    assert read_message(
        "EXECUTOR STATISTICS", "! system\n!\t0.1 s user, 0.1 s system, 0.25 s elapsed"
    ) == Elapsed(seconds=0.25)


def test_modes_are_spelled_as_sql_spells_them() -> None:
    assert spelled("ShareUpdateExclusiveLock") == "SHARE UPDATE EXCLUSIVE"


def test_a_weaker_lock_than_the_plan_says_is_no_warning_to_the_approver() -> None:
    assert len(disagreements(SEEN)) == 1
    assert not [s for s in in_brief(SEEN, scan_rows=1) if "SHARE" in s and "stronger" in s]


def test_where_nothing_was_watched_nothing_is_said() -> None:
    assert witness_page((), "", scan_rows=1) == []
    assert in_brief((), scan_rows=1) == []
