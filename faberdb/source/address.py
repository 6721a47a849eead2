"""A repository's URL and a ref in it, as people write them; looks only at the text."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from faberdb.errors import Refused

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP: Final = re.compile(r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][\w.-]*):(?P<path>[^:].*)")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_NO_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock$|^/")
_WRITE: Final = "write it as https://HOST/PATH, ssh://git@HOST/PATH, git@HOST:PATH or file:///PATH"


class GitUrl(Struct, frozen=True, kw_only=True):
    """A URL that may be given to git; no secret is in it."""

    text: str
    scheme: str  # https, ssh or file
    host: str  # "" for file
    port: int | None
    path: str

    @property
    def name(self) -> str:
        """The repository's name, `shop` for .../shop.git; the checkout's folder has it, so the project does."""
        last = self.path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
        return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip(".-") or "repository"

    @property
    def slug(self) -> str:
        """A folder's name: readable, and another for every URL."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{self.host}-{self.path.removesuffix('.git')}").strip("-")
        return f"{readable[-80:].strip('-')}-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    @property
    def authority(self) -> str:
        """Host and port, as git names them when it asks for a password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def is_git_url(project: str) -> bool:
    """Whether it is a repository's URL, fit or not; anything else is a folder."""
    return bool(_SCHEME.match(project) or _SCP.fullmatch(project))


def parse_git_url(text: str) -> GitUrl:
    """Take a URL apart.

    Raises:
        Refused: it holds a login, which would be stored in plain text, or git may not be asked for it.
    """
    if re.search(r"[\x00-\x20\x7f]", text):
        raise Refused("The git URL has a space or a control character in it.", next_step=_WRITE)
    scp = None if _SCHEME.match(text) else _SCP.fullmatch(text)
    if scp:
        return GitUrl(text=text, scheme="ssh", host=scp["host"].lower(), port=None, path=scp["path"])
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("The git URL cannot be read.", next_step=_WRITE) from None
    _refuse_login(parts, host)
    if parts.scheme not in {"https", "ssh", "file"}:
        raise Refused(
            f"Repositories are not fetched over {parts.scheme or 'this'}.",
            why="https, ssh and file are; http and git would show the code and the login to the network.",
            next_step=_WRITE,
        )
    whole = parts.path.strip("/") and (host in {"", "localhost"} if parts.scheme == "file" else host)
    if not whole or parts.query or parts.fragment or (host and not _HOST.fullmatch(host)):
        raise Refused("The git URL lacks a host or a path, or has more than these.", next_step=_WRITE)
    host = "" if parts.scheme == "file" else host
    made = GitUrl(text=text, scheme=parts.scheme, host=host, port=port, path=parts.path)
    user = f"{parts.username}@" if parts.username else ""
    return replace(made, text=f"{made.scheme}://{user}{made.authority}{made.path}")


def _refuse_login(parts: SplitResult, host: str) -> None:
    """A token may stand where the name does, so only ssh, whose names are public, may have one."""
    if parts.password is None and (parts.scheme == "ssh" or parts.username is None):
        return
    raise Refused(
        f"The git URL for {host or 'this repository'} has a login inside.",
        why="Parameters are stored in plain text, so a password in one has to be taken for known.",
        next_step=(
            "write the URL without what is before the @; keep user name and token in a block"
            f" {block_name(host)!r} of type Git Credentials; replace a token that stood here"
        ),
    )


def block_name(host: str) -> str:
    """The name of the block that holds a host's login: `github-com`."""
    return re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")


def is_commit(ref: str) -> bool:
    """Whether it is a commit's full name."""
    return bool(_COMMIT.fullmatch(ref))


def check_ref(ref: str) -> str:
    """A branch, tag, commit or full ref name, as git would have it.

    Raises:
        Refused: it is an option to git or an expression, or no ref could have that name.
    """
    if ref.startswith("-") or _NO_REF.search(ref) or ref == "@":
        raise Refused(
            f"{ref!r} is no branch, tag or commit.",
            why="Expressions such as main~1 are not taken: they mean another commit tomorrow.",
            next_step="give the name of a branch or tag, a commit, or a full name such as refs/pull/12/head",
        )
    return ref


def refuse_ref_of_folder(project: str, ref: str) -> None:
    """A folder is used as it is.

    Raises:
        Refused: a ref is asked for.
    """
    if ref:
        raise Refused(
            f"The project {project} is a folder, and ref {ref!r} was given.",
            why="A folder is used as it is; only a git URL has refs to choose from.",
            next_step="leave ref empty, or give the repository's git URL as project",
        )
