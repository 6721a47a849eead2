from __future__ import annotations

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import EnvironmentBusy, ServerUnreachable
from faberdb.release.lock import hold_environment, lock_holder, require_lock


def test_the_second_release_is_told_who_holds_the_lock(fresh_database: Dsn) -> None:
    with (
        hold_environment(fresh_database, "rel-1"),
        pytest.raises(EnvironmentBusy, match=r"held by session \d+ \(faber-db rel-1 "),
        hold_environment(fresh_database, "rel-2"),
    ):
        pass


def test_a_release_may_hold_its_own_lock_again(fresh_database: Dsn) -> None:
    with hold_environment(fresh_database, "rel-1"):
        with hold_environment(fresh_database, "rel-1"):
            pass
        assert "rel-1" in lock_holder(fresh_database)


def test_the_lock_is_free_afterwards(fresh_database: Dsn) -> None:
    with hold_environment(fresh_database, "rel-1"):
        pass
    assert lock_holder(fresh_database) == ""
    with hold_environment(fresh_database, "rel-2"):
        pass


def test_the_lock_of_one_database_leaves_others_free(fresh_database: Dsn, server: Dsn) -> None:
    with hold_environment(fresh_database, "rel-1"), hold_environment(server, "rel-2"):
        pass


def test_a_holder_whose_session_ended_has_let_go_and_notices(fresh_database: Dsn, server: Dsn) -> None:
    with hold_environment(fresh_database, "rel-1"):
        with connect(server, purpose="test") as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%rel-1%'"
            )
        with pytest.raises(ServerUnreachable, match="not held"):
            require_lock(fresh_database, "rel-1")
        with hold_environment(fresh_database, "rel-2"):
            assert "rel-2" in lock_holder(fresh_database)


def test_an_effect_outside_of_the_lock_is_refused(fresh_database: Dsn) -> None:
    with pytest.raises(ServerUnreachable, match="not held"):
        require_lock(fresh_database, "rel-1")
    with hold_environment(fresh_database, "rel-1"):
        require_lock(fresh_database, "rel-1")
