from __future__ import annotations

import pytest

from deployments.webhooks.signatures import signed_by_github, signed_generic, token_of_gitlab
from tests.webhooks.deliveries import sign

BODY = b'{"a": 1}'
NOW = 1_700_000_000.0


def test_githubs_own_example_is_accepted() -> None:
    # docs.github.com, "Validating webhook deliveries": the values to test an implementation with
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signed_by_github("It's a Secret to Everybody", b"Hello, World!", expected)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        sign(BODY).removeprefix("sha256="),
        sign(BODY).upper(),
        sign(b"other"),
        "sha256=\xff\u20ac",
    ],
)
def test_anything_but_the_bodys_signature_is_refused(signature: str) -> None:
    assert not signed_by_github("a secret of the tests", BODY, signature)


def test_another_secret_is_refused() -> None:
    assert signed_by_github("right", BODY, sign(BODY, "right"))
    assert not signed_by_github("right", BODY, sign(BODY, "wrong"))


def test_an_empty_secret_proves_nothing() -> None:
    assert not token_of_gitlab("", "")
    with pytest.raises(ValueError, match="proves nothing"):
        signed_by_github("", BODY, sign(BODY, "x"))


def test_gitlabs_token_is_compared_whole_and_may_be_any_text() -> None:
    assert token_of_gitlab("clé", "clé".encode().decode("latin-1")), "as it comes in a header"
    assert not token_of_gitlab("clé", "clé et plus")
    assert not token_of_gitlab("token", "toke")


def accepted(timestamp: str, signature: str | None = None, *, window_s: float = 300) -> bool:
    given = sign(timestamp.encode() + b"." + BODY) if signature is None else signature
    return signed_generic(
        "a secret of the tests", BODY, timestamp=timestamp, signature=given, now=NOW, window_s=window_s
    )


@pytest.mark.parametrize(
    ("away", "good"), [(0, True), (-300, True), (300, True), (-301, False), (301, False)]
)
def test_a_time_stamp_counts_within_the_window_either_way(away: int, good: bool) -> None:
    assert accepted(str(int(NOW) + away)) is good


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1", "1e9", " 1700000000", "1700000000.0", "\u0661" * 10, "9" * 40]
)
def test_a_time_stamp_that_is_no_number_of_seconds_is_refused(timestamp: str) -> None:
    assert not accepted(timestamp, window_s=1e12)


def test_a_signature_holds_for_its_time_stamp_only() -> None:
    stamp = str(int(NOW))
    assert accepted(stamp)
    assert not accepted(str(int(NOW) + 1), sign(stamp.encode() + b"." + BODY))
    assert not accepted(stamp, sign(BODY))
