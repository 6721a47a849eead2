"""Running git for us alone: bounded, without the user's or the machine's settings, hooks or prompts.

The login reaches git through an asking program that prints two environment variables, and only when it is
asked for the very host: a redirection to another one gets nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from faberdb.errors import AuthenticationFailed, CommandFailed, FaberError, Refused, Transient
from faberdb.redacted import Redacted
from faberdb.source.address import GitUrl, block_name
from faberdb.subprocesses import Finished, run_program

QUICK_S: Final = 60
FETCH_S: Final = 600

_ASKPASS: Final = """#!/bin/sh
case "$1" in
  Username*"//$FABER_GIT_HOST': ") printf '%s\\n' "$FABER_GIT_USERNAME" ;;
  Password*"@$FABER_GIT_HOST': ") printf '%s\\n' "$FABER_GIT_TOKEN" ;;
  *) exit 1 ;;
esac
"""
_SETTINGS: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "safe.directory": "*",  # a shared home may belong to another user than the one of this container
    "credential.helper": "",
    "gc.auto": "0",  # a collection would take what checkouts borrow
    "maintenance.auto": "false",
    "transfer.unpackLimit": "1",  # a pack is there whole or not at all; loose objects can lack their trees
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "advice.detachedHead": "false",
}
_FETCH: Final = ("--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
_PASSED_ON: Final = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSH_AUTH_SOCK", "GIT_SSL_CAINFO")
_SSH: Final = "ssh -o BatchMode=yes -o ConnectTimeout=20"

# git has one exit code for everything, so its English words are all there is to tell by.
_AUTHENTICATION: Final = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|"
    r"returned error: 40[13]|access denied|host key verification failed",
    re.IGNORECASE,
)
_MISSING: Final = re.compile(
    r"repository (.* )?not found|returned error: 404|does not appear to be a git repository|"
    r"not a git repository",
    re.IGNORECASE,
)


class GitLogin(Redacted, frozen=True, kw_only=True):
    """A host's user name and token."""

    SHOWN = ("username",)

    username: str
    token: str


def run_git(
    *arguments: str | Path, what: str, timeout_s: float = QUICK_S, environment: dict[str, str] | None = None
) -> Finished:
    """Run git on this machine's files; its failure is the caller's to read.

    Raises:
        Refused: there is no git here.
        Transient: it did not end in time.
    """
    if shutil.which("git") is None:
        raise Refused("There is no git on this machine.", next_step="install git 2.32 or newer")
    command = ["git", *arguments]
    env = _environment() | (environment or {})
    try:
        return run_program(command, timeout_s=timeout_s, environment=env, what=what, check=False)
    except CommandFailed as error:
        raise Transient(error.what, why=error.why) from None


def run_local(*arguments: str | Path, what: str, timeout_s: float = QUICK_S) -> str:
    """Run git on this machine's files; returns what it printed.

    Raises:
        Transient: it failed, as on a full disk, or did not end in time.
    """
    done = run_git(*arguments, what=what, timeout_s=timeout_s)
    if done.code != 0:
        raise Transient(f"{what} failed.", why=done.errors.strip()[-1000:])
    return done.output.strip()


def fetch(repository: Path, url: GitUrl, refspecs: list[str], login: GitLogin | None) -> str:
    """Fetch into a repository; returns "" or, where the remote lacks what was asked for, git's words.

    Raises:
        AuthenticationFailed: the remote turned the login, or its absence, away.
        Refused: there is no such repository.
        Transient: the remote is away.
    """
    asking = _asking(repository.parent, url, login) if login else {}
    done = run_git(
        *("-C", str(repository), "fetch", *_FETCH, "--", url.text, *refspecs),
        what=f"fetching {url.text}",
        timeout_s=FETCH_S,
        environment=asking,
    )
    if done.code == 0:
        return ""
    words = _without_secret(done.errors.strip(), login)
    if re.search(r"couldn't find remote ref|not our ref|unadvertised object", words, re.IGNORECASE):
        return words
    raise _translated(url, words, login)


def _translated(url: GitUrl, words: str, login: GitLogin | None) -> FaberError:
    why = words[-1000:]
    if "dubious ownership" in words:  # git's own advice would change a file that we do not read
        return Refused(
            f"{url.text} belongs to another user of this machine, so git does not read it.",
            next_step="run the worker as its owner, or serve the repository over ssh or https",
        )
    if "certificate" in words:
        return Refused(
            f"{url.host} shows a certificate that is not trusted here.",
            why=why,
            next_step="set SSL_CERT_FILE for the worker, to a file with the authorities to trust",
        )
    if _AUTHENTICATION.search(words):
        return AuthenticationFailed(
            f"{url.host or url.text} turned us away from {url.text}.",
            why=why,
            next_step=_next_for_login(url, login),
        )
    if _MISSING.search(words):
        hint = "check the URL" + ("" if url.scheme == "file" else f", or {_next_for_login(url, login)}")
        return Refused(f"There is no repository to read at {url.text}.", why=why, next_step=hint)
    return Transient(
        f"{url.text} could not be fetched.", why=why, next_step="the same command tries it again"
    )


def _next_for_login(url: GitUrl, login: GitLogin | None) -> str:
    if url.scheme == "ssh":
        return "give the worker's user an ssh key that may read it, and the host's key in known_hosts"
    if login is None:
        return f"create a block {block_name(url.host)!r} of type Git Credentials"
    return f"correct the login in the block {block_name(url.host)!r}; it needs to read the repository"


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    # Debian's git is built with GnuTLS, which does not look at SSL_CERT_FILE.
    certificates = {"GIT_SSL_CAINFO": os.environ["SSL_CERT_FILE"]} if os.environ.get("SSL_CERT_FILE") else {}
    settings = {"GIT_CONFIG_COUNT": str(len(_SETTINGS))}
    for number, (key, value) in enumerate(_SETTINGS.items()):
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **certificates,
        **passed,
        **settings,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND") or _SSH,
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }


def _asking(folder: Path, url: GitUrl, login: GitLogin) -> dict[str, str]:
    return {
        "GIT_ASKPASS": str(_askpass(folder)),
        "FABER_GIT_HOST": url.authority,
        "FABER_GIT_USERNAME": login.username,
        "FABER_GIT_TOKEN": login.token,
    }


def _askpass(folder: Path) -> Path:
    """The asking program; it lies in the home, since a machine may forbid to run what lies in /tmp."""
    program = folder / "askpass"
    if program.is_file() and program.read_text() == _ASKPASS and os.access(program, os.X_OK):
        return program
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix="askpass-", delete=False) as half:
        half.write(_ASKPASS)
    Path(half.name).chmod(0o700)
    return Path(half.name).replace(program)


def _without_secret(text: str, login: GitLogin | None) -> str:
    return text.replace(login.token, "***") if login and login.token else text
