"""Three hundred revisions of an imaginary project, always the same, in the two layouts that the contenders read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

REVISIONS: Final = 300

_ALTERATIONS: Final = (
    'ALTER TABLE "{table}" ADD COLUMN "extra_{number}" TEXT;',
    'ALTER TABLE "{table}" ALTER COLUMN "note" SET DEFAULT \'from {number}\';',
    'ALTER TABLE "{table}" ADD COLUMN "flag_{number}" BOOLEAN NOT NULL DEFAULT false;',
)


def write_revisions(folder: Path) -> tuple[Path, Path]:
    """Write all of them.

    Returns:
        Prisma's folder, a folder a revision; and dbmate's, a file a revision with the same statements.
    """
    prisma, dbmate = folder / "prisma", folder / "dbmate"
    dbmate.mkdir(parents=True)
    for number, (name, script) in enumerate(_revisions()):
        (prisma / name).mkdir(parents=True)
        (prisma / name / "migration.sql").write_text(script)
        (dbmate / f"{20260101000000 + number}_{name[15:]}.sql").write_text(
            f"-- migrate:up\n{script}-- migrate:down\n"
        )
    (prisma / "migration_lock.toml").write_text('provider = "postgresql"\n')
    return prisma, dbmate


def _revisions() -> Iterator[tuple[str, str]]:
    for number in range(REVISIONS):
        yield f"{20260101000000 + number}_create_t{number:03}", _script(number)


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
