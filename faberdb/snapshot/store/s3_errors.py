"""What boto3 raises, and what S3 answers, as our errors. No credential is in what is quoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from faberdb.errors import AuthenticationFailed, FaberError, Failed, Refused, ServerUnreachable, Transient
from faberdb.snapshot.place import S3Place


class ObjectMissing(Refused):
    """There is no object of that key."""


class ObjectThere(Refused):
    """There is one already, and it was not replaced."""


class NotSpoken(Failed):
    """The server does not know what was asked."""


class UploadGone(Failed):
    """A multipart upload was ended by somebody else."""


_SETTINGS: Final = "look at [backup.s3], or at the Prefect block Snapshot Store"
_LOGIN: Final = (
    "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the machine a role, or save \
the Prefect block Snapshot Store"
)
_RIGHTS: Final = "give the login the rights of docs/how-to/s3.md on the bucket"
_AGAIN: Final = "when it answers again, run the same command"

_BY_CODE: Final[dict[str, tuple[type[FaberError], str]]] = {
    "NoSuchKey": (ObjectMissing, "faber-db snapshots"),
    "404": (ObjectMissing, "faber-db snapshots"),
    "NoSuchUpload": (UploadGone, "run the same command again"),
    "PreconditionFailed": (ObjectThere, ""),
    "ConditionalRequestConflict": (ObjectThere, ""),
    "NotImplemented": (NotSpoken, _SETTINGS),
    "NoSuchBucket": (Refused, _SETTINGS),
    "PermanentRedirect": (Refused, _SETTINGS),
    "AuthorizationHeaderMalformed": (Refused, _SETTINGS),
    "InvalidAccessKeyId": (AuthenticationFailed, _LOGIN),
    "SignatureDoesNotMatch": (AuthenticationFailed, _LOGIN),
    "ExpiredToken": (AuthenticationFailed, _LOGIN),
    "InvalidToken": (AuthenticationFailed, _LOGIN),
    "AccessDenied": (AuthenticationFailed, _RIGHTS),
    "403": (AuthenticationFailed, _RIGHTS),
    "RequestTimeout": (Transient, _AGAIN),
    "SlowDown": (Transient, _AGAIN),
    "BadDigest": (Transient, _AGAIN),
}


@contextmanager
def explained(place: S3Place, doing: str) -> Iterator[None]:
    """Raise ours for theirs.

    Args:
        place: what is named.
        doing: what was tried, such as "write shop/a/manifest.json".
    """
    from botocore.exceptions import (  # noqa: PLC0415  # see `S3Client`
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise _answered(place, doing, error.response) from None
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AuthenticationFailed(
            f"There are no credentials for {place}.", why=type(error).__name__, next_step=_LOGIN
        ) from None
    except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
        inner = error.kwargs.get("error") if isinstance(error, BotoCoreError) else None
        if isinstance(inner, FaberError):  # raised while the body was read
            raise inner from None
        raise ServerUnreachable(
            f"{place} does not answer: could not {doing}.",
            why=f"{type(error).__name__}, also when it was tried again",
            next_step=_AGAIN,
        ) from None


def _answered(place: S3Place, doing: str, response: Any) -> FaberError:
    code = str(response["Error"].get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind, next_step = _BY_CODE.get(code, (Transient, _AGAIN) if status >= 500 else (Failed, _SETTINGS))
    why = f"It answered {code or status}: {response['Error'].get('Message', '')}".rstrip(": ")
    return kind(f"{place}: could not {doing}.", why=why, next_step=next_step)
