"""A clean folder with one commit's files, for one run, and its removal.

It borrows its objects from the mirror (`objects/info/alternates`) and is unknown to it, so removing the
folder leaves nothing behind. It has no remote: what runs in it cannot push.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Final

from faberdb.config.load import FILE_NAME, PLUGIN_FILE
from faberdb.errors import ConfigInvalid, Refused
from faberdb.project import load_project
from faberdb.source.address import parse_git_url
from faberdb.source.git import FETCH_S, GitLogin, run_local
from faberdb.source.mirror import ensure_commit

_ABANDONED_S: Final = 7 * 24 * 3600  # no run is at work for so long; one that waits has no checkout


def state_home() -> Path:
    """The folder of local state of projects that come from git.

    Raises:
        Refused: nothing names it; in the checkout it would go with it.
    """
    given = os.environ.get("FABER_DB_HOME")
    if not given:
        raise Refused(
            "FABER_DB_HOME is not set, and the project comes from a git URL.",
            why="The checkout is removed after the run, so local state needs a folder that stays.",
            next_step="set FABER_DB_HOME for the worker, to a folder that outlives it",
        )
    return Path(given).resolve()


def mirrors_folder() -> Path:
    """Where the mirrors are kept."""
    return state_home() / "mirrors"


def folder_for_run(url: str, run: str) -> Path:
    """Where a run's checkout goes; the last part is the repository's name, which names the project by default."""
    assert run
    return state_home() / "checkouts" / run / parse_git_url(url).name


def checkout(url: str, commit: str, folder: Path, mirrors: Path, credentials: GitLogin | None = None) -> None:
    """Fill a folder with a commit's files, and nothing else; what is there is replaced.

    Submodules and large files (LFS) are not fetched.

    Raises:
        Refused: the repository has no such commit any more.
        Transient: the remote or the disk failed.
    """
    mirror = ensure_commit(parse_git_url(url), commit, mirrors, credentials)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    run_local("init", "--quiet", "--template=", folder, what="making the checkout")
    objects = mirror.resolve() / "objects"
    (folder / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n")
    take = ("checkout", "--quiet", "--detach", commit)
    run_local("-C", folder, *take, what=f"checking out {commit[:12]}", timeout_s=FETCH_S)


def require_fit(folder: Path, commit: str) -> None:
    """Refuse a checkout that would be read as another project, or that would keep what must stay.

    Raises:
        ConfigInvalid: it has no configuration of its own, or keeps snapshots in itself.
    """
    if not any((folder / name).is_file() for name in (FILE_NAME, PLUGIN_FILE)):
        raise ConfigInvalid(  # else one of a folder above would be found, and another project released
            f"The repository has no {FILE_NAME} at its root at commit {commit[:12]}.",
            next_step="commit and push it, or choose another ref",
        )
    backup = load_project(folder).config.backup
    for key, kept in (("directory", backup.directory), ("scratch_directory", backup.scratch_directory)):
        if kept and (folder / kept).resolve().is_relative_to(folder.resolve()):
            raise ConfigInvalid(
                f"backup.{key} is {kept!r}, inside the checkout, which is removed after the run.",
                next_step=f"leave backup.{key} out, or give an absolute folder",
            )


def remove_checkout(folder: Path) -> None:
    """Remove a run's checkout, by its `folder_for_run`, and those that killed runs left long ago."""
    around = folder.parent
    assert around.parent == state_home() / "checkouts"
    shutil.rmtree(around, ignore_errors=True)
    for left in list(around.parent.iterdir()) if around.parent.is_dir() else ():
        if left.is_dir() and time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
