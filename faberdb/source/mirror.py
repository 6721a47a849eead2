"""One bare mirror per URL, and the commit that a ref means in it now.

Owns `<home>/mirrors`. Nothing is ever collected there, so a commit that was pinned once is found again when
its branch is gone, without the network.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from faberdb.errors import Refused, Transient
from faberdb.source.address import GitUrl, check_ref, is_commit, parse_git_url
from faberdb.source.git import FETCH_S, GitLogin, fetch, run_git, run_local

_WANTED: Final = "refs/faber/wanted"
_ALL: Final = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
_PACKS: Final = 40  # each fetch leaves one


def pin(url: str, ref: str, mirrors: Path, credentials: GitLogin | None = None) -> str:
    """The commit that a ref means now.

    Args:
        url: the repository's.
        ref: branch, tag, commit, or a full name such as refs/pull/12/head; "" for the default branch.
        mirrors: the folder of the mirrors.
        credentials: for https.

    Returns:
        Its 40 hex digits. A full commit that the mirror has needs no network.

    Raises:
        Refused: there is no such ref or repository, or the login was turned away.
        Transient: the remote is away, or another run has been fetching for too long.
    """
    address = parse_git_url(url)
    check_ref(ref)
    if is_commit(ref) and _commit_of(mirror_of(address, mirrors), ref):
        return ref
    with _locked(address, mirrors) as mirror:
        return _fetched(mirror, address, ref, credentials)


def ensure_commit(address: GitUrl, commit: str, mirrors: Path, login: GitLogin | None) -> Path:
    """The mirror, with the commit in it."""
    mirror = mirror_of(address, mirrors)
    if not _commit_of(mirror, commit):
        with _locked(address, mirrors) as mirror:
            _fetched(mirror, address, commit, login)
    return mirror


def mirror_of(address: GitUrl, mirrors: Path) -> Path:
    """The folder of a URL's mirror."""
    return mirrors / f"{address.slug}.git"


def _fetched(mirror: Path, address: GitUrl, ref: str, login: GitLogin | None) -> str:
    """Bring the mirror up to date and read the ref in it; the mirror is locked."""
    by_itself = "HEAD" if not ref else ref if ref.startswith("refs/") else ""
    missing = fetch(mirror, address, [*_ALL, *([f"+{by_itself}:{_WANTED}"] if by_itself else [])], login)
    if missing:
        raise _unknown(address, ref, missing)
    found = _commit_of(mirror, _WANTED) if by_itself else _meant(mirror, address, ref)
    if not found and is_commit(ref):  # no branch or tag leads to it, as to a pull request's head
        missing = fetch(mirror, address, [f"+{ref}:refs/faber/commits/{ref}"], login)
        found = _commit_of(mirror, ref)
    if not found:
        raise _unknown(address, ref, missing)
    _tidy(mirror)
    return found


def _meant(mirror: Path, address: GitUrl, ref: str) -> str:
    if is_commit(ref):  # also where a branch has been given a commit's name
        return _commit_of(mirror, ref)
    branch, tag = (_commit_of(mirror, f"refs/{kind}/{ref}") for kind in ("heads", "tags"))
    if branch and tag and branch != tag:
        raise Refused(
            f"{address.text} has a branch and a tag {ref!r}, of different commits.",
            next_step=f"give refs/heads/{ref} or refs/tags/{ref}",
        )
    if branch or tag:
        return branch or tag
    hexadecimal = len(ref) >= 7 and not set(ref) - set("0123456789abcdef")
    return _commit_of(mirror, ref) if hexadecimal else ""


def _commit_of(mirror: Path, name: str) -> str:
    """The commit that a name stands for in the mirror, "" for none."""
    if not mirror.is_dir():
        return ""
    question = ("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    done = run_git("-C", mirror, *question, what="git rev-parse")
    return done.output.strip() if done.code == 0 else ""


def _unknown(address: GitUrl, ref: str, words: str) -> Refused:
    if not ref:
        return Refused(
            f"{address.text} has no default branch.",
            why=words or "It is empty, or its HEAD names a branch that is not there.",
            next_step="give a branch, tag or commit as ref",
        )
    return Refused(
        f"{address.text} has no branch, tag or commit {ref!r}.",
        why=words or "It was misspelt or deleted, or was never pushed.",
        next_step=f"git ls-remote {address.text}",
    )


@contextlib.contextmanager
def _locked(address: GitUrl, mirrors: Path) -> Iterator[Path]:
    """The mirror for this process alone, made if it is not there."""
    mirrors.mkdir(parents=True, exist_ok=True)
    mirror = mirror_of(address, mirrors)
    with mirror.with_suffix(".lock").open("a") as file:
        _acquire(file.fileno(), address)
        run_local("init", "--quiet", "--bare", "--template=", mirror, what="making the mirror")
        _clear_leftovers(mirror)
        yield mirror


def _acquire(descriptor: int, address: GitUrl) -> None:
    deadline = time.monotonic() + FETCH_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Transient(
                    f"Another run has been fetching {address.text} for {FETCH_S} s.",
                    next_step="the same command tries it again",
                ) from None
            time.sleep(0.1)
        else:
            return


def _clear_leftovers(mirror: Path) -> None:
    """Remove what a git that was killed left; its own locks would stop every later fetch."""
    places = (
        mirror.glob("*.lock"),
        (mirror / "refs").rglob("*.lock"),
        (mirror / "objects" / "pack").glob("tmp_*"),
    )
    for left in itertools.chain(*places):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > FETCH_S:  # a younger one may have a living owner
                left.unlink()


def _tidy(mirror: Path) -> None:
    """Join the packs when there are many. Nothing is dropped: checkouts borrow from here."""
    packs = mirror / "objects" / "pack"
    if len([name for name in os.listdir(packs) if name.endswith(".pack")]) > _PACKS:
        keep = ("-a", "-d", "--keep-unreachable", "--quiet")
        run_local("-C", mirror, "repack", *keep, what="joining the mirror's packs", timeout_s=FETCH_S)
