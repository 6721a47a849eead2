"""Where in S3, or in what speaks it, a project's snapshots are kept, and how hard it is tried.

Values only: nothing here connects. A credential is in none but `S3Login`, whose text does not show it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from faberdb.redacted import Redacted

_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*))?")
_PREFIX: Final = re.compile(r"([A-Za-z0-9!_.*'()=-]+(/[A-Za-z0-9!_.*'()=-]+)*)?")
MIN_PART_BYTES: Final = 5 << 20  # S3 takes no smaller part but the last


class S3Login(Redacted, frozen=True, kw_only=True):
    """A key from a Prefect block. Without one, boto3 looks where it always does."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an S3Login holds a key and does not leave the process")


class S3Place(Struct, frozen=True, kw_only=True):
    """A prefix in a bucket."""

    bucket: str
    prefix: str = ""  # without a slash at either end
    region: str = ""  # "": as boto3 finds it
    endpoint_url: str = ""  # "": AWS's own
    path_style: bool = False
    sse: str = ""  # server-side encryption, "": the bucket's default
    kms_key_id: str = ""  # with aws:kms, "": the account's own key for S3
    profile: str = ""  # in AWS's configuration files
    login: S3Login | None = None
    part_bytes: int = 16 << 20
    at_once: int = 8  # requests
    attempts: int = 6  # of one request, the first included
    silence_s: float = 60  # without a byte, before a connection is given up
    transfer_s: float = 3600  # for the whole of one upload or download

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def parse_s3_url(url: str) -> tuple[str, str]:
    """The bucket and the prefix of an address such as "s3://bucket/prefix".

    Raises:
        ValueError: it is none; says what is wrong.
    """
    found = _URL.fullmatch(url)
    if found is None or ".." in url:
        raise ValueError("must be s3://BUCKET or s3://BUCKET/PREFIX")
    prefix = (found["prefix"] or "").strip("/")
    if not _PREFIX.fullmatch(prefix) or any(part == "." for part in prefix.split("/")):
        raise ValueError("the prefix may have letters, digits and !_.*'()=- between single slashes")
    return found["bucket"], prefix


def check_endpoint_url(url: str) -> str:
    """The address of a server that speaks S3; a login in it is for the whole section to refuse, unquoted.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be http://HOST:PORT or https://HOST")
    return url.rstrip("/")
