from __future__ import annotations

from pathlib import Path

import pytest

from faberdb.errors import Refused
from faberdb.source import (
    GitLogin,
    block_name,
    is_git_url,
    parse_git_url,
    pin,
    refuse_ref_of_folder,
    state_home,
)
from faberdb.source.address import check_ref

SECRET = "s3cr3t-canary"


@pytest.mark.parametrize(
    ("url", "scheme", "host", "name"),
    [
        ("https://github.com/acme/shop.git", "https", "github.com", "shop"),
        ("HTTPS://GitHub.com/acme/shop", "https", "github.com", "shop"),
        ("https://git.example:8443/a/b/Shop%20API/", "https", "git.example", "Shop-20API"),
        ("ssh://git@git.example:2222/acme/shop.git", "ssh", "git.example", "shop"),
        ("git@github.com:acme/shop.git", "ssh", "github.com", "shop"),
        ("file:///srv/git/shop.git", "file", "", "shop"),
        ("file:///srv/git/.git", "file", "", "repository"),
    ],
)
def test_a_git_url_is_told_and_taken_apart(url: str, scheme: str, host: str, name: str) -> None:
    assert is_git_url(url)
    found = parse_git_url(url)
    assert (found.scheme, found.host, found.name) == (scheme, host, name)


@pytest.mark.parametrize(
    "folder", ["", ".", "/srv/shop", "shop.git", "~/shop", "../a@b/c:d", "C:/shop", "a:b"]
)
def test_a_folder_is_no_git_url(folder: str) -> None:
    assert not is_git_url(folder)


@pytest.mark.parametrize(
    "url",
    [
        f"https://priya:{SECRET}@git.example/shop.git",
        f"https://{SECRET}@git.example/shop.git",
        f"ssh://git:{SECRET}@git.example/shop.git",
        f"https://git.example/shop.git?private_token={SECRET}",
        f"ftp://priya:{SECRET}@git.example/shop.git",
    ],
)
def test_a_url_with_a_login_inside_is_refused_without_being_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        pin(url, "", tmp_path)
    assert SECRET not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "http://git.example/shop.git",
        "git://git.example/shop.git",
        "ext::sh -c true",
        "https:///shop.git",
        "https://git.example",
        "https://-oProxyCommand=x/shop.git",
        "file://elsewhere/srv/shop.git",
        "https://git.example/shop .git",
        "https://git.example:x/shop.git",
    ],
)
def test_a_url_that_git_may_not_be_asked_for_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        parse_git_url(url)


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch /tmp/x",
        "-x",
        "main~1",
        "main^",
        "main:file",
        "@{u}",
        "a..b",
        "a b",
        "a\nb",
        "@",
        "/a",
    ],
)
def test_a_ref_that_is_an_option_or_an_expression_is_refused(ref: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no branch, tag or commit"):
        pin("file:///nowhere/shop.git", ref, tmp_path)


@pytest.mark.parametrize(
    "ref", ["", "main", "feature/a-b_c.d", "v1.2.3", "refs/pull/12/head", "@acme/shop@1", "7" * 40]
)
def test_what_may_be_a_refs_name_passes(ref: str) -> None:
    assert check_ref(ref) == ref


def test_a_ref_of_a_folder_is_refused() -> None:
    refuse_ref_of_folder("/srv/shop", "")
    with pytest.raises(Refused, match="is a folder"):
        refuse_ref_of_folder("/srv/shop", "main")


def test_every_url_has_a_mirror_of_its_own_that_people_can_tell() -> None:
    urls = ["https://git.example/a-b/c.git", "https://git.example/a/b-c.git", "git@git.example:a/b-c.git"]
    slugs = [parse_git_url(url).slug for url in urls]
    assert len(set(slugs)) == 3
    assert all(s.startswith("git-example-a-b-c-") for s in slugs)


def test_the_block_of_a_login_is_named_after_the_host() -> None:
    assert block_name("github.com") == "github-com"


def test_a_token_is_not_shown() -> None:
    assert SECRET not in repr(GitLogin(username="x", token=SECRET))


def test_a_git_project_needs_a_home_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FABER_DB_HOME", raising=False)
    with pytest.raises(Refused, match="FABER_DB_HOME"):
        state_home()
