"""Code from real git repositories: pinned, checked out and removed, over file:// and over https."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec import Struct

from faberdb.errors import AuthenticationFailed, ConfigInvalid, Refused, Transient
from faberdb.project import load_project
from faberdb.source import (
    GitLogin,
    checkout,
    folder_for_run,
    parse_git_url,
    pin,
    remove_checkout,
    require_fit,
)
from faberdb.source.mirror import mirror_of
from tests.repositories import Repository, make_repository

SECRET = "s3cr3t-canary"


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    made = make_repository(tmp_path / "remote" / "shop")
    made.commit(a="1")
    return made


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FABER_DB_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "mirrors"


def files_of(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_ref_is_the_commit_that_it_means_now(shop: Repository, mirrors: Path) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.git("tag", "-a", "v1", "-m", "v1")
    second = shop.commit(a="2")
    assert pin(shop.url, "", mirrors) == second
    assert pin(shop.url, "main", mirrors) == second
    assert pin(shop.url, "refs/heads/main", mirrors) == second
    assert pin(shop.url, "v1", mirrors) == first, "an annotated tag stands for its commit"
    assert pin(shop.url, first[:10], mirrors) == first
    third = shop.commit(a="3")
    assert pin(shop.url, "main", mirrors) == third


def test_the_default_branch_is_the_remotes(shop: Repository, mirrors: Path) -> None:
    shop.git("checkout", "--quiet", "-b", "trunk")
    commit = shop.commit(a="2")
    assert pin(shop.url, "", mirrors) == commit


def test_a_branch_that_was_rewritten_or_replaced_by_a_folder_of_branches_is_followed(
    shop: Repository, mirrors: Path
) -> None:
    shop.git("checkout", "--quiet", "-b", "feature")
    old = shop.commit(a="2")
    assert pin(shop.url, "feature", mirrors) == old
    shop.git("commit", "--quiet", "--amend", "--message", "other")
    assert pin(shop.url, "feature", mirrors) == shop.git("rev-parse", "HEAD")
    shop.git("branch", "--quiet", "-m", "feature/one")
    assert pin(shop.url, "feature/one", mirrors) == shop.git("rev-parse", "HEAD")
    with pytest.raises(Refused, match="'feature'"):
        pin(shop.url, "feature", mirrors)


def test_a_pinned_commit_outlives_its_branch_and_its_repository(
    shop: Repository, mirrors: Path, tmp_path: Path
) -> None:
    shop.git("checkout", "--quiet", "-b", "feature")
    commit = shop.commit(a="2")
    assert pin(shop.url, "feature", mirrors) == commit
    shop.git("checkout", "--quiet", "main")
    shop.git("branch", "--quiet", "-D", "feature")
    pin(shop.url, "main", mirrors)  # the mirror hears of it
    shutil.rmtree(shop.root)
    assert pin(shop.url, commit, mirrors) == commit
    checkout(shop.url, commit, tmp_path / "out", mirrors)
    assert files_of(tmp_path / "out") == {"a": "2"}


def test_a_commit_that_no_branch_leads_to_is_fetched_by_itself(
    shop: Repository, mirrors: Path, tmp_path: Path
) -> None:
    shop.git("checkout", "--quiet", "-b", "fork")
    head = shop.commit(a="from a pull request")
    shop.git("update-ref", "refs/pull/12/head", head)
    shop.git("checkout", "--quiet", "main")
    shop.git("branch", "--quiet", "-D", "fork")
    assert pin(shop.url, "refs/pull/12/head", mirrors / "by name") == head
    assert pin(shop.url, head, mirrors) == head
    checkout(shop.url, head, tmp_path / "out", mirrors)
    assert files_of(tmp_path / "out") == {"a": "from a pull request"}


@pytest.mark.parametrize("ref", ["nope", "refs/pull/1/head", "0123456", "f" * 40])
def test_what_the_repository_does_not_have_is_refused_by_name(
    shop: Repository, mirrors: Path, ref: str
) -> None:
    with pytest.raises(Refused, match=ref):
        pin(shop.url, ref, mirrors)


def test_a_name_of_both_a_branch_and_a_tag_is_refused_until_it_is_said_which(
    shop: Repository, mirrors: Path
) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.git("tag", "both")
    shop.git("checkout", "--quiet", "-b", "both")
    second = shop.commit(a="2")
    with pytest.raises(Refused, match="a branch and a tag"):
        pin(shop.url, "both", mirrors)
    assert pin(shop.url, "refs/tags/both", mirrors) == first
    assert pin(shop.url, "refs/heads/both", mirrors) == second


def test_a_branch_with_a_commits_name_is_not_taken_for_it(shop: Repository, mirrors: Path) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.commit(a="evil")
    shop.git("update-ref", f"refs/heads/{first}", "HEAD")
    assert pin(shop.url, first, mirrors) == first


def test_an_empty_and_a_missing_repository_are_refused(tmp_path: Path, mirrors: Path) -> None:
    with pytest.raises(Refused, match="no default branch"):
        pin(make_repository(tmp_path / "empty").url, "", mirrors)
    with pytest.raises(Refused, match="no repository to read"):
        pin(f"file://{tmp_path}/nowhere", "", mirrors)


def test_a_host_that_does_not_answer_may_answer_later(mirrors: Path) -> None:
    with pytest.raises(Transient):
        pin("https://127.0.0.1:1/shop.git", "", mirrors)
    with pytest.raises(Transient):
        pin("ssh://git@127.0.0.1:1/shop.git", "", mirrors)


def test_a_checkout_is_the_commit_and_clean_whatever_was_there(
    shop: Repository, mirrors: Path, tmp_path: Path
) -> None:
    (shop.root / "faber-db.toml").write_text("[environments.dev]\n")
    commit = shop.commit(**{".gitattributes": "* text=auto\n", "crlf": "a\nb\n"})
    folder = tmp_path / "out" / "shop"
    folder.mkdir(parents=True)
    (folder / "left").write_text("by a killed run")
    checkout(shop.url, pin(shop.url, "", mirrors), folder, mirrors)
    project = load_project(folder)
    assert (project.commit(), project.name) == (commit, "shop")
    assert "left" not in files_of(folder)
    (folder / "a").write_text("changed")
    assert project.commit() == f"{commit}-dirty"
    checkout(shop.url, commit, folder, mirrors)
    assert project.commit() == commit


def test_a_removed_checkout_leaves_nothing_behind(shop: Repository, mirrors: Path) -> None:
    commit = pin(shop.url, "", mirrors)
    before = listing(mirrors)
    folder = folder_for_run(shop.url, "run-1")
    other = folder_for_run(shop.url, "run-2")
    checkout(shop.url, commit, folder, mirrors)
    checkout(shop.url, commit, other, mirrors)
    remove_checkout(folder)
    assert listing(mirrors) == before
    assert not folder.parent.exists()
    assert files_of(other) == {"a": "1"}, "another run's checkout stays"
    long_ago = time.time() - 30 * 24 * 3600
    os.utime(other.parent, (long_ago, long_ago))
    remove_checkout(folder)
    assert not other.exists(), "one that a killed run left long ago goes"


def test_a_checkout_without_a_configuration_is_not_read_as_the_project_around_it(
    shop: Repository, mirrors: Path
) -> None:
    folder = folder_for_run(shop.url, "run")
    commit = pin(shop.url, "", mirrors)
    checkout(shop.url, commit, folder, mirrors)
    (mirrors.parent / "faber-db.toml").write_text("[environments.dev]\n")
    assert load_project(folder).root == mirrors.parent
    with pytest.raises(ConfigInvalid, match="at its root"):
        require_fit(folder, commit)


def test_a_checkout_that_would_take_its_snapshots_with_it_is_refused(shop: Repository, mirrors: Path) -> None:
    folder = folder_for_run(shop.url, "run")
    commit = shop.commit(**{"faber-db.toml": '[environments.dev]\n[backup]\ndirectory = "kept"\n'})
    checkout(shop.url, pin(shop.url, "", mirrors), folder, mirrors)
    with pytest.raises(ConfigInvalid, match="removed after the run"):
        require_fit(folder, commit)


def test_many_runs_fetch_at_once(shop: Repository, mirrors: Path, tmp_path: Path) -> None:
    commits = [shop.commit(a=str(n)) for n in range(6)]

    def run(number: int) -> str:
        commit = pin(shop.url, commits[number], mirrors)
        pin(shop.url, "main", mirrors)
        checkout(shop.url, commit, tmp_path / f"out{number}", mirrors)
        return files_of(tmp_path / f"out{number}")["a"]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(run, range(6))) == [str(n) for n in range(6)]


def test_the_packs_of_many_fetches_are_joined_and_nothing_of_them_is_lost(
    shop: Repository, mirrors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faberdb.source.mirror._PACKS", 3)
    shop.git("checkout", "--quiet", "-b", "gone")
    gone = shop.commit(a="gone")
    pin(shop.url, "gone", mirrors)
    checkout(shop.url, gone, tmp_path / "borrows", mirrors)
    shop.git("checkout", "--quiet", "main")
    shop.git("branch", "--quiet", "-D", "gone")
    for n in range(5):
        shop.commit(a=str(n))
        pin(shop.url, "main", mirrors)
    mirror = mirror_of(parse_git_url(shop.url), mirrors)
    assert len(list((mirror / "objects" / "pack").glob("*.pack"))) <= 4
    checkout(shop.url, gone, tmp_path / "again", mirrors)
    assert files_of(tmp_path / "again") == {"a": "gone"}
    assert Repository(tmp_path / "borrows").git("fsck", "--connectivity-only", "--no-dangling") == ""


def test_what_a_killed_git_left_does_not_stop_the_next(shop: Repository, mirrors: Path) -> None:
    pin(shop.url, "", mirrors)
    mirror = mirror_of(parse_git_url(shop.url), mirrors)
    left = mirror / "refs" / "heads" / "main.lock"
    left.write_text("")
    commit = shop.commit(a="2")
    with pytest.raises(Transient, match=r"main\.lock"):
        pin(shop.url, "main", mirrors)
    os.utime(left, (time.time() - 3600,) * 2)
    assert pin(shop.url, "main", mirrors) == commit


def test_neither_the_users_settings_nor_a_repositorys_hooks_run(
    shop: Repository, mirrors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "post-checkout").chmod(0o755)
    home = tmp_path / "user"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {hooks.parent}\n[core]\n\thooksPath = {hooks}\n"
        f'[url "file:///elsewhere/"]\n\tinsteadOf = file://\n'
    )
    monkeypatch.setenv("HOME", str(home))
    checkout(shop.url, pin(shop.url, "", mirrors), tmp_path / "out", mirrors)
    assert not ran.exists()


# --- over https, by git's own http-backend ---------------------------------------------------------


class Host(Struct, frozen=True):
    url: str
    logins: list[str]  # what the clients offered


def _backend() -> Path:
    at = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(at) / "git-http-backend"


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on to git-http-backend, for one login; `/moved/` redirects to another host."""

    root: Path
    logins: list[str]
    elsewhere: str

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self) -> None:
        body = self._body()
        path, _, query = self.path.partition("?")
        if path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.elsewhere + self.path.removeprefix("/moved"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        offered = self.headers.get("Authorization", "")
        if offered:
            self.logins.append(base64.b64decode(offered.split()[1]).decode())
        if not self.logins or self.logins[-1] != f"robot:{SECRET}" or not offered:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "robot",
        }
        out = subprocess.run([_backend()], input=body, env=env, capture_output=True, check=False).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


@contextlib.contextmanager
def _serving(root: Path, certificate: Path, elsewhere: str = "") -> Iterator[Host]:
    logins: list[str] = []
    handler = type("Handler", (_Handler,), {"root": root, "logins": logins, "elsewhere": elsewhere})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Host(f"https://127.0.0.1:{server.server_port}", logins)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hosts', which the worker's own SSL_CERT_FILE trusts."""
    both = tmp_path / "host.pem"
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1")
    made = subprocess.run(
        ["openssl", *new, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", both, "-out", f"{both}.crt"],
        capture_output=True,
        check=True,
    )
    assert made.returncode == 0
    both.write_text(both.read_text() + Path(f"{both}.crt").read_text())
    for variable in ("GIT_SSL_CAINFO", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", f"{both}.crt")
    return both


@pytest.fixture
def host(shop: Repository, certificate: Path) -> Iterator[Host]:
    if not _backend().is_file():
        pytest.skip("this git has no http-backend")
    with _serving(shop.root.parent, certificate) as serving:
        yield serving


def test_a_login_opens_a_private_repository_and_is_kept_nowhere(
    host: Host, shop: Repository, mirrors: Path, tmp_path: Path
) -> None:
    url = f"{host.url}/shop"
    login = GitLogin(username="robot", token=SECRET)
    commit = pin(url, "main", mirrors, login)
    assert commit == shop.git("rev-parse", "HEAD")
    checkout(url, commit, tmp_path / "out", mirrors, login)
    assert host.logins[-1] == f"robot:{SECRET}"
    kept = [p for p in (*mirrors.rglob("*"), *(tmp_path / "out").rglob("*")) if p.is_file()]
    assert kept
    assert not [p for p in kept if SECRET.encode() in p.read_bytes()]


def test_no_login_and_a_wrong_one_are_told_with_the_block_to_write(host: Host, mirrors: Path) -> None:
    url = f"{host.url}/shop"
    with pytest.raises(AuthenticationFailed, match="create a block '127-0-0-1'"):
        pin(url, "main", mirrors)
    wrong = GitLogin(username="robot", token=f"{SECRET}-wrong")
    with pytest.raises(AuthenticationFailed, match="correct the login") as refused:
        pin(url, "main", mirrors, wrong)
    assert SECRET not in str(refused.value)
    with pytest.raises(Refused, match="no repository to read"):
        pin(f"{host.url}/nope", "main", mirrors, GitLogin(username="robot", token=SECRET))


def test_a_host_whose_certificate_nobody_vouches_for_is_refused(
    host: Host, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Refused, match="certificate"):
        pin(f"{host.url}/shop", "main", mirrors, GitLogin(username="robot", token=SECRET))
    assert host.logins == []


def test_a_redirection_to_another_host_does_not_get_the_login(
    host: Host, shop: Repository, certificate: Path, mirrors: Path
) -> None:
    login = GitLogin(username="robot", token=SECRET)
    with (
        _serving(shop.root.parent, certificate, elsewhere=host.url) as redirecting,
        pytest.raises(AuthenticationFailed),
    ):
        pin(f"{redirecting.url}/moved/shop", "main", mirrors, login)
    assert host.logins == []
