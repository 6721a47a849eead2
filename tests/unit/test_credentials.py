from __future__ import annotations

from pathlib import Path

import pytest

from faberdb.credentials import address_source, resolve_dsn, unset_variables
from faberdb.dsn import Dsn, parse_dsn
from faberdb.errors import ConfigInvalid, VariableMissing
from faberdb.given import Given
from faberdb.project import Project, load_project

SECRET = "s3cr3t-canary"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("PROD_DATABASE_URL", "DEV_DATABASE_URL", "DATABASE_URL", "DIRECT_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "faber-db.toml").write_text(
        '[database]\nhosting = "postgres"\n[environments.dev]\nconnection_string_env = "DATABASE_URL"\n'
        "[environments.production]\n"
    )
    return load_project(tmp_path)


def test_a_variable_holds_the_url(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_DATABASE_URL", f"postgresql://app:{SECRET}@db.example:6543/shop?schema=sales")
    found = resolve_dsn(project, project.environment("production"))
    assert (found.host, found.port, found.database, found.schema) == ("db.example", 6543, "shop", "sales")
    assert SECRET not in f"{found} {found!r}"


def test_a_dot_env_file_holds_it_where_the_environment_does_not(project: Project) -> None:
    (project.root / ".env").write_text('PROD_DATABASE_URL="postgresql://a@from-file/shop"\n')
    assert resolve_dsn(project, project.environment("production")).host == "from-file"


def test_a_block_wins(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_DATABASE_URL", "postgresql://a@variable/shop")
    given = Given(dsn=Dsn(host="block", database="shop"), block="shop-production")
    assert resolve_dsn(project, project.environment("production"), given=given).host == "block"


def test_nothing_set_names_the_variable(project: Project) -> None:
    with pytest.raises(VariableMissing, match="PROD_DATABASE_URL"):
        resolve_dsn(project, project.environment("production"))
    assert unset_variables(project) == ["DATABASE_URL", "PROD_DATABASE_URL"]


def test_prismas_direct_url_is_used_for_the_url_it_belongs_to(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = project.root / "prisma" / "schema.prisma"
    schema.parent.mkdir()
    schema.write_text(
        'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n'
        '  directUrl = env("DIRECT_URL")\n}\n'
    )
    monkeypatch.setenv("DATABASE_URL", "postgresql://a@pooler:6432/shop?pgbouncer=true")
    monkeypatch.setenv("DIRECT_URL", "postgresql://a@direct:5432/shop")
    monkeypatch.setenv("PROD_DATABASE_URL", "postgresql://a@production/shop")
    assert resolve_dsn(project, project.environment("dev")).host == "direct"
    assert resolve_dsn(project, project.environment("production")).host == "production"


@pytest.mark.parametrize(
    "url",
    [f"mysql://a:{SECRET}@b/c", f"postgresql://a:{SECRET}@b", f"postgresql://a:{SECRET}@[b/c", "nonsense"],
)
def test_a_malformed_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_dsn(url, source="X_URL")
    assert "X_URL" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        Dsn(host="h", user="u", password="p@:/?#[]%", database="d b/ü"),
        Dsn(host="/run/pg", user="u", database="d", schema="sales"),
        Dsn(host="::1", port=6000, user="u", database="d", parameters={"sslmode": "verify-full"}),
    ],
)
def test_a_url_says_again_what_was_read(dsn: Dsn) -> None:
    assert parse_dsn(dsn.url(), source="X") == dsn


def test_a_dsn_does_not_leave_the_process() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Dsn(host="h", database="d", password=SECRET))


def test_where_an_address_comes_from_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    production = project.environment("production")
    assert address_source(project, production) == "variable PROD_DATABASE_URL (not set)"
    monkeypatch.setenv("PROD_DATABASE_URL", "postgresql://a@variable/shop")
    assert address_source(project, production) == "variable PROD_DATABASE_URL"
    given = Given(dsn=Dsn(host="block", database="shop"), block="shop-production")
    assert address_source(project, production, given) == "block shop-production"


def test_a_block_stands_for_a_variable_that_is_not_set(project: Project) -> None:
    given = {"production": Given(dsn=Dsn(host="block", database="shop"), block="shop-production")}
    assert unset_variables(project, given) == ["DATABASE_URL"]
