"""Whether a delivery comes from who it says. Three doors, three proofs, each compared in constant time."""

from __future__ import annotations

import hashlib
import hmac


def signed_by_github(secret: str, body: bytes, signature: str) -> bool:
    """Whether `X-Hub-Signature-256` is the body's."""
    return _same(signature, f"sha256={_hmac(secret, body)}")


def token_of_gitlab(secret: str, token: str) -> bool:
    """Whether `X-Gitlab-Token` is ours. GitLab signs nothing, so the connection has to be TLS."""
    return bool(secret) and _same(token, secret)


def signed_generic(
    secret: str, body: bytes, *, timestamp: str, signature: str, now: float, window_s: float
) -> bool:
    """Whether `X-FaberDB-Signature` is that of time stamp and body, and the time stamp is of now.

    Args:
        secret: shared with the sender.
        body: as it came.
        timestamp: seconds since 1970, in digits, as the header holds it.
        signature: `sha256=` and the hexadecimal HMAC of `timestamp + "." + body`.
        now: seconds since 1970.
        window_s: how far the time stamp may be from now, either way.
    """
    expected = f"sha256={_hmac(secret, timestamp.encode('latin-1', 'replace') + b'.' + body)}"
    fresh = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    return _same(signature, expected) and fresh and abs(now - int(timestamp)) <= window_s


def _hmac(secret: str, message: bytes) -> str:
    if not secret:
        raise ValueError("an empty secret proves nothing")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    # compare_digest tells lengths apart by time, and refuses text that is not ASCII; digests are neither.
    # Header values come as latin-1, which is how their bytes are had back.
    digests = (hashlib.sha256(b).digest() for b in (given.encode("latin-1", "replace"), expected.encode()))
    return hmac.compare_digest(*digests)
