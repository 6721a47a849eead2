"""Histories in the two layouts that the contenders read: of an imaginary project, always the same, or a real one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from faberdb.statements import fits_one_transaction, parse_script

_ALTERATIONS: Final = (
    'ALTER TABLE "{table}" ADD COLUMN "extra_{number}" TEXT;',
    'ALTER TABLE "{table}" ALTER COLUMN "note" SET DEFAULT \'from {number}\';',
    'ALTER TABLE "{table}" ADD COLUMN "flag_{number}" BOOLEAN NOT NULL DEFAULT false;',
)


def synthetic_history(revisions: int) -> Iterator[tuple[str, str]]:
    """Names and scripts: each makes a table with a key and an index, all but the first alter an earlier one."""
    for number in range(revisions):
        yield f"{20260101000000 + number}_create_t{number:03}", _script(number)


def real_history(migrations: Path) -> Iterator[tuple[str, str]]:
    """Names and scripts of a Prisma project, from its folder of migrations."""
    for file in sorted(migrations.glob("*/migration.sql")):
        yield file.parent.name, file.read_text()


def write_revisions(folder: Path, history: Iterable[tuple[str, str]]) -> tuple[Path, Path]:
    """Write all of them.

    Returns:
        Prisma's folder, a folder a revision; and dbmate's, a file a revision with the same statements.
    """
    prisma, dbmate = folder / "prisma", folder / "dbmate"
    dbmate.mkdir(parents=True)
    for number, (name, script) in enumerate(history):
        (prisma / name).mkdir(parents=True)
        (prisma / name / "migration.sql").write_text(script)
        option = "" if fits_one_transaction(parse_script(script, source=name)) else " transaction:false"
        (dbmate / f"{20260101000000 + number}_{name[15:]}.sql").write_text(
            f"-- migrate:up{option}\n{script}\n-- migrate:down\n"
        )
    (prisma / "migration_lock.toml").write_text('provider = "postgresql"\n')
    return prisma, dbmate


def _script(number: int) -> str:
    lines = [
        "-- CreateTable",
        f'CREATE TABLE "t{number:03}" (',
        '    "id" SERIAL NOT NULL,',
        '    "name" TEXT NOT NULL,',
        '    "note" TEXT,',
        '    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,',
        f'    CONSTRAINT "t{number:03}_pkey" PRIMARY KEY ("id")',
        ");",
        "",
        "-- CreateIndex",
        f'CREATE INDEX "t{number:03}_name_idx" ON "t{number:03}"("name");',
    ]
    if number:
        earlier = f"t{number * number // 3 % number:03}"
        lines += ["", "-- AlterTable", _ALTERATIONS[number % 3].format(table=earlier, number=number)]
    return "\n".join(lines) + "\n"
