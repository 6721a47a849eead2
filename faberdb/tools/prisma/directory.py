"""Prisma's migrations folder: which revisions there are, their order and their checksums."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Final

from faberdb.errors import ConfigInvalid, HistoryRefused, UnreadableSql
from faberdb.revision import Revision

LOCK_FILE: Final = "migration_lock.toml"
SCRIPT: Final = "migration.sql"
DOWN: Final = (
    "down.sql"  # where Prisma's documentation tells people to put it; Prisma itself does not read it
)
_PROVIDERS: Final = ("postgresql", "postgres")

# Prisma sorts folder names by JavaScript's localeCompare, not by bytes: "1_b" comes before "10_a", and
# letters of both cases stand together. This is the root collation's order of what is not a letter or digit.
_BEFORE_DIGITS: Final = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"


def read_revisions(directory: Path) -> tuple[Revision, ...]:
    """The revisions in Prisma's order; none where the folder is missing, as Prisma has it.

    Raises:
        ConfigInvalid: the lock file is of another database.
        HistoryRefused: a folder has no script.
        UnreadableSql: a script is not UTF-8.
    """
    if not directory.is_dir():
        return ()
    _check_provider(directory / LOCK_FILE)
    # Prisma follows no symbolic links here.
    folders = [f for f in directory.iterdir() if f.is_dir() and not f.is_symlink()]
    folders.sort(key=lambda f: _collation_key(f.name))
    return tuple(_read_revision(f) for f in folders)


def _read_revision(folder: Path) -> Revision:
    try:
        raw = (folder / SCRIPT).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise HistoryRefused(
            f"The revision {folder.name!r} has no {SCRIPT}.",
            why=f"Prisma refuses such a folder too (P3015): {folder}",
            next_step="bring the file back from version control, or delete the folder",
        ) from None
    return Revision(name=folder.name, checksum=_checksum(raw), script=_text(raw, folder / SCRIPT))


def read_down(directory: Path, name: str) -> str:
    """The script beside a revision's that takes it back, "" where there is none.

    Raises:
        UnreadableSql: it is not UTF-8.
    """
    file = directory / name / DOWN
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""
    return _text(raw, file)


def _text(raw: bytes, file: Path) -> str:
    try:
        return raw.decode("utf-8-sig")  # PostgreSQL does not read a byte order mark; Prisma 6 trims it
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UnreadableSql(
            f"The revision {file.parent.name!r} is not UTF-8.",
            why=f"{file}, line {line}: byte 0x{raw[error.start]:02x}",
            next_step="save the file as UTF-8",
        ) from None


def recorded_checksum(directory: Path, name: str, recorded: str) -> str:
    """The checksum of the file on disk where Prisma takes `recorded` as the same, else `recorded`.

    Prisma looks past line endings, which git changes on Windows, and past the missing zeros in checksums
    of its early versions.
    """
    try:
        raw = (directory / name / SCRIPT).read_bytes()
    except OSError:  # missing or unreadable: the caller compares histories and says so
        return recorded
    now = _checksum(raw)
    if recorded == now:
        return now
    spellings = (raw, raw.replace(b"\r\n", b"\n"), raw.replace(b"\n", b"\r\n"))
    digests = [hashlib.sha256(s).digest() for s in spellings]
    known = {d.hex() for d in digests} | {"".join(f"{byte:x}" for byte in d) for d in digests}
    return now if recorded in known else recorded


def _checksum(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _check_provider(lock_file: Path) -> None:
    try:
        provider = tomllib.loads(lock_file.read_text(encoding="utf-8")).get("provider")
    except FileNotFoundError:  # Prisma accepts its absence
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"{lock_file} is not readable.",
            why=str(error),
            next_step="bring it back from version control",
        ) from None
    if provider not in _PROVIDERS:
        raise ConfigInvalid(
            f"The revisions have the wrong provider: {provider!r}.",
            why=f"{lock_file} says so; faber-db applies revisions for postgresql only.",
            next_step="point migrations.directory in faber-db.toml at PostgreSQL's migrations",
        )


def _collation_key(name: str) -> tuple[list[int], list[bool], str]:
    """Sorts as localeCompare does for the names that occur; letters' case decides only between equals."""
    return [_rank(c) for c in name], [c.isupper() for c in name], name


def _rank(character: str) -> int:
    if character in _BEFORE_DIGITS:
        return _BEFORE_DIGITS.index(character)
    return 1000 + ord(character.casefold()[0])
