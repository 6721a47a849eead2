from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql

from faberdb.connection import connect, run
from faberdb.database_properties import apply_properties, read_properties, set_comment
from faberdb.databases import (
    cannot_restore_beside,
    database_exists,
    drop_database,
    ensure_database,
    list_databases,
    maintenance,
    maintenance_dsn,
)
from faberdb.dsn import Dsn
from faberdb.errors import Refused

STRANGE = "t_Ünï\"code; DROP TABLE x = '1'"


@pytest.fixture
def roles(server: Dsn) -> Iterator[Callable[[str], Dsn]]:
    """Creates login roles with the given attributes; they go at the end, after the databases."""
    made: list[str] = []

    def create(attributes: str = "") -> Dsn:
        name = f'r_"{uuid.uuid4().hex[:8]}'
        with connect(server, purpose="tests") as conn:
            role = sql.Identifier(name)
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN ").format(role) + sql.SQL(attributes))
        made.append(name)
        return replace(server, user=name)

    yield create
    with connect(server, purpose="tests") as conn:
        for name in made:
            owned = conn.execute(
                "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s", (name,)
            ).fetchall()
            for (database,) in owned:
                run(conn, "ALTER DATABASE {d} OWNER TO {o}", d=database, o=server.user)
            for (database,) in conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 't\\_%'"):
                with connect(server.with_database(database), purpose="tests") as inside:
                    inside.execute("SET default_transaction_read_only = off")  # one may be set aside
                    run(inside, "DROP OWNED BY {r}", r=name)
            run(conn, "DROP OWNED BY {r}", r=name)
            run(conn, "DROP ROLE {r}", r=name)


@pytest.fixture
def strange(server: Dsn) -> Iterator[Dsn]:
    dsn = server.with_database(STRANGE)
    drop_database(dsn)
    yield dsn
    drop_database(dsn)


def test_creating_twice_is_creating_once_whatever_the_name(strange: Dsn) -> None:
    assert not database_exists(strange)
    assert ensure_database(strange)
    assert not ensure_database(strange)
    assert STRANGE in list_databases(strange)
    with connect(strange, purpose="tests") as conn:
        assert conn.info.dbname == STRANGE


def test_dropping_ends_the_sessions_in_it_and_dropping_twice_is_dropping_once(strange: Dsn) -> None:
    ensure_database(strange)
    with psycopg.connect(**strange.connect_arguments()) as session:  # type: ignore[arg-type]
        assert drop_database(strange)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert not drop_database(strange)
    assert not database_exists(strange)


def test_many_that_create_the_same_database_at_once_end_with_one(strange: Dsn) -> None:
    with ThreadPoolExecutor(6) as pool:
        created = list(pool.map(lambda _: ensure_database(strange), range(6)))
    assert created.count(True) == 1


def test_the_maintenance_database_is_never_the_database_itself(server: Dsn) -> None:
    assert maintenance_dsn(server.with_database("anything")).database == "postgres"
    assert maintenance_dsn(server.with_database("postgres")).database == "template1"


def test_a_server_without_a_postgres_database_is_administered_from_template1(server: Dsn) -> None:
    with connect(server.with_database("template1"), purpose="tests") as conn:
        run(conn, "ALTER DATABASE {a} RENAME TO {b}", a="postgres", b="t_postgres")
        try:
            assert maintenance_dsn(server.with_database("anything")).database == "template1"
            assert database_exists(server.with_database("t_postgres"))
        finally:
            run(conn, "ALTER DATABASE {a} RENAME TO {b}", a="t_postgres", b="postgres")


def test_a_copy_is_created_with_the_encoding_and_locale_of_the_other(
    create_database: Callable[..., Dsn], server: Dsn
) -> None:
    like = server.with_database(f"t_like_{uuid.uuid4().hex[:8]}")
    copy = server.with_database(like.database + "_copy")
    with maintenance(server, purpose="tests") as conn:
        run(
            conn,
            "CREATE DATABASE {n} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER builtin"
            " BUILTIN_LOCALE 'C' LC_COLLATE 'C' LC_CTYPE 'C'",
            n=like.database,
        )
        try:
            wanted = read_properties(conn, like.database)
            ensure_database(copy, like=wanted)
            assert read_properties(conn, copy.database) == wanted
            assert (wanted.encoding, wanted.provider, wanted.locale) == ("LATIN1", "builtin", "C")
        finally:
            drop_database(copy)
            drop_database(like)


def test_owner_grants_settings_and_limit_are_carried_over(
    roles: Callable[[str], Dsn], create_database: Callable[..., Dsn], server: Dsn
) -> None:
    owner, reader = roles("").user, roles("").user
    source, other = create_database('so"urce'), create_database("other")
    with maintenance(server, purpose="tests") as conn:
        name = source.database
        run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=name, o=owner)
        run(conn, "REVOKE ALL ON DATABASE {n} FROM PUBLIC", n=name)
        run(conn, "GRANT CONNECT, CREATE ON DATABASE {n} TO {r} WITH GRANT OPTION", n=name, r=reader)
        run(conn, "ALTER DATABASE {n} CONNECTION LIMIT 17", n=name)
        run(conn, """ALTER DATABASE {n} SET search_path TO 'Ünï"; code', '$user', public""", n=name)
        run(conn, "ALTER DATABASE {n} SET TimeZone TO 'Asia/Tokyo'", n=name)
        run(conn, """ALTER DATABASE {n} SET app.secret TO 'it''s, \\ "quoted"'""", n=name)
        run(conn, "ALTER ROLE {r} IN DATABASE {n} SET statement_timeout TO '7s'", n=name, r=reader)
        run(conn, "ALTER DATABASE {n} SET work_mem TO '5MB'", n=other.database)
        run(conn, "GRANT TEMP ON DATABASE {n} TO {r}", n=other.database, r=reader)
        set_comment(conn, other.database, "its own")

        wanted = read_properties(conn, name)
        apply_properties(conn, other.database, wanted)
        apply_properties(conn, other.database, wanted)

        assert read_properties(conn, other.database) == replace(wanted, comment="its own")
        assert len(wanted.settings) == 4
    with connect(other, purpose="tests") as conn:
        assert conn.execute("SELECT current_schemas(false), current_setting('app.secret')").fetchone() == (
            ["public"],
            """it's, \\ "quoted\"""",
        )
        assert conn.execute("SHOW search_path").fetchone() == ('"Ünï""; code", "$user", public',)


def test_a_setting_that_cannot_be_carried_is_named_and_its_value_is_not(
    create_database: Callable[..., Dsn], server: Dsn
) -> None:
    database = create_database()
    with maintenance(server, purpose="tests") as conn:
        run(conn, "ALTER DATABASE {n} SET app.secret TO 'hunter2'", n=database.database)
        wanted = read_properties(conn, database.database)
        broken = replace(wanted.settings[0], name="work_mem")
        with pytest.raises(Refused, match="The setting work_mem") as caught:
            apply_properties(conn, database.database, replace(wanted, settings=(broken,)))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_role_without_createdb_is_refused_and_told_what_it_needs(
    roles: Callable[[str], Dsn], strange: Dsn
) -> None:
    plain = roles("").with_database(STRANGE)
    with pytest.raises(Refused, match="role with CREATEDB"):
        ensure_database(plain)


def test_restoring_beside_is_possible_for_a_superuser_and_for_an_owner_who_creates_databases(
    roles: Callable[[str], Dsn], server: Dsn, create_database: Callable[..., Dsn]
) -> None:
    database = create_database()
    owner = roles("CREATEDB").with_database(database.database)
    assert cannot_restore_beside(database) == ""
    assert "does not own" in cannot_restore_beside(owner)
    with maintenance(server, purpose="tests") as conn:
        run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=database.database, o=owner.user)
    assert cannot_restore_beside(owner) == ""


def test_what_stands_against_restoring_beside_is_said(
    roles: Callable[[str], Dsn], server: Dsn, create_database: Callable[..., Dsn]
) -> None:
    database = create_database()
    plain = roles("").with_database(database.database)
    owner = roles("CREATEDB").with_database(database.database)
    assert "may not create databases" in cannot_restore_beside(plain)
    with maintenance(server, purpose="tests") as conn:
        run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=database.database, o=owner.user)
        run(conn, "ALTER ROLE {r} IN DATABASE {n} SET work_mem TO '5MB'", n=database.database, r=plain.user)
        assert f"settings of other roles: {plain.user}" in cannot_restore_beside(owner)
        run(conn, "ALTER ROLE {r} IN DATABASE {n} RESET ALL", n=database.database, r=plain.user)
        with connect(plain, purpose="an application"):
            assert f"may not end sessions of {plain.user}" in cannot_restore_beside(owner)
        run(conn, "ALTER DATABASE {n} SET log_statement TO 'none'", n=database.database)
        assert "only a superuser may set log_statement" in cannot_restore_beside(owner)
        assert cannot_restore_beside(database) == ""
    assert "no database" in cannot_restore_beside(owner.with_database("t_nowhere"))
