"""Prisma's files: the migrations folder and the datasource of a schema."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from faberdb.errors import ConfigInvalid, HistoryRefused, UnreadableSql
from faberdb.tools.prisma import PrismaMigrations, read_datasource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "migration_lock.toml").write_text('# Please do not edit\nprovider = "postgresql"\n')
    return directory


def write(folder: Path, name: str, script: bytes = b"SELECT 1;\n") -> None:
    (folder / name).mkdir()
    (folder / name / "migration.sql").write_bytes(script)


def prisma(folder: Path, schema_file: Path | None = None) -> PrismaMigrations:
    return PrismaMigrations(directory=folder, schema_file=schema_file)


def test_folders_come_in_the_order_in_which_prisma_applies_them(folder: Path) -> None:
    for name in ("10_a", "1_b", "1_B", "1-c", "0001_init", "00010_x", "a_b", "ab", "A_c"):
        write(folder, name)
    assert [r.name for r in prisma(folder).revisions()] == [
        "0001_init", "00010_x", "1_b", "1_B", "1-c", "10_a", "a_b", "A_c", "ab",
    ]  # fmt: skip


def test_files_and_links_beside_the_folders_are_no_revisions(folder: Path, tmp_path: Path) -> None:
    write(folder, "20260101_a")
    (folder / "README.md").write_text("x")
    write(tmp_path, "elsewhere")
    (folder / "20260102_link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [r.name for r in prisma(folder).revisions()] == ["20260101_a"]


def test_a_project_without_migrations_has_no_revisions(tmp_path: Path) -> None:
    assert prisma(tmp_path / "nowhere").revisions() == ()


def test_the_checksum_is_of_the_files_bytes(folder: Path) -> None:
    script = "SELECT 'é';\r\n".encode()
    write(folder, "20260101_a", script)
    (revision,) = prisma(folder).revisions()
    assert revision.checksum == hashlib.sha256(script).hexdigest()
    assert revision.script == "SELECT 'é';\r\n"


def test_a_byte_order_mark_counts_in_the_checksum_and_is_not_sent(folder: Path) -> None:
    script = b"\xef\xbb\xbfSELECT 1;\n"
    write(folder, "20260101_a", script)
    (revision,) = prisma(folder).revisions()
    assert (revision.checksum, revision.script) == (hashlib.sha256(script).hexdigest(), "SELECT 1;\n")


def test_a_folder_without_a_script_is_refused_as_prisma_does(folder: Path) -> None:
    (folder / "20260101_a").mkdir()
    with pytest.raises(HistoryRefused, match=r"'20260101_a' has no migration\.sql") as caught:
        prisma(folder).revisions()
    assert "P3015" in caught.value.why


def test_a_script_that_is_not_utf_8_is_refused_with_its_place(folder: Path) -> None:
    write(folder, "20260101_a", b"SELECT 1;\nSELECT '\xe9';")
    with pytest.raises(UnreadableSql, match="'20260101_a' is not UTF-8") as caught:
        prisma(folder).revisions()
    assert "line 2: byte 0xe9" in caught.value.why


def test_migrations_of_another_database_are_refused(folder: Path) -> None:
    (folder / "migration_lock.toml").write_text('provider = "mysql"\n')
    with pytest.raises(ConfigInvalid, match="wrong provider: 'mysql'"):
        prisma(folder).revisions()


def test_a_missing_lock_file_is_accepted_and_a_broken_one_is_not(folder: Path) -> None:
    write(folder, "20260101_a")
    (folder / "migration_lock.toml").unlink()
    assert len(prisma(folder).revisions()) == 1
    (folder / "migration_lock.toml").write_text("<<<<<<< HEAD\n")
    with pytest.raises(ConfigInvalid, match="not readable"):
        prisma(folder).revisions()


def test_a_schema_of_another_database_is_refused(folder: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.prisma"
    schema.write_text('datasource db {\n  provider = "sqlite"\n}\n')
    with pytest.raises(ConfigInvalid, match="wrong provider: 'sqlite'"):
        prisma(folder, schema).revisions()


DATASOURCE = """
// datasource db { provider = "mysql" }
generator client {
  provider = "prisma-client-js" // not this one
}

datasource db {
  provider  = "postgresql"   /// the "database"
  url       = env("POOLED_URL") // env("OTHER")
  directUrl = env("DIRECT_URL")
  schemas   = ["public", "audit"]
  extensions = [citext, pgcrypto(schema: "public")]
}

model datasource {
  id  Int    @id
  url String @default("}")
}
"""


def test_the_datasource_names_its_variables_and_schemas(tmp_path: Path) -> None:
    schema = tmp_path / "schema.prisma"
    schema.write_text(DATASOURCE)
    found = read_datasource(schema)
    assert (found.provider, found.url_env, found.direct_url_env) == ("postgresql", "POOLED_URL", "DIRECT_URL")
    assert found.schemas == ("public", "audit")


def test_a_schema_in_several_files_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "user.prisma").write_text("model User {\n  id Int @id\n}\n")
    (tmp_path / "base.prisma").write_text(DATASOURCE)
    assert read_datasource(tmp_path).url_env == "POOLED_URL"


@pytest.mark.parametrize("url", ["", 'url = "postgresql://app:secret@db/shop"'])
def test_a_datasource_without_a_variable_names_none(tmp_path: Path, url: str) -> None:
    schema = tmp_path / "schema.prisma"
    schema.write_text(f'datasource db {{\n provider = "postgresql"\n {url}\n}}\n')
    found = read_datasource(schema)
    assert (found.url_env, found.direct_url_env, found.schemas) == (None, None, ())
    assert "secret" not in repr(found)


def test_a_schema_without_a_datasource_or_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "schema.prisma").write_text("model a {\n id Int @id\n}\n")
    with pytest.raises(ConfigInvalid, match="no datasource"):
        read_datasource(tmp_path / "schema.prisma")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_datasource(tmp_path / "nowhere.prisma")
