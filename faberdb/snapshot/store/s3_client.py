"""The calls of S3 that a store of snapshots needs, typed, with bounded waits and our errors.

The only module that knows boto3, and it imports it when the first call is made. Refuses to know snapshots.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from io import IOBase
from typing import Any, Final, Protocol

from msgspec import Struct

from faberdb.errors import Refused
from faberdb.snapshot.place import S3Place
from faberdb.snapshot.store.s3_errors import NotSpoken, ObjectMissing, UploadGone, explained

_CONNECT_S: Final = 10


class Stream(Protocol):
    """An object's content as it arrives."""

    def read(self, amt: int | None = None) -> bytes:
        """Up to so many bytes; none at the end."""
        ...

    def close(self) -> None:
        """Give the connection up."""
        ...


class Listed(Struct, frozen=True, kw_only=True):
    """An object, or a multipart upload that was begun."""

    key: str
    at: datetime
    bytes: int = 0
    upload: str = ""


class S3Client:
    """One bucket. Safe to use from several threads."""

    def __init__(self, place: S3Place) -> None:
        self.place = place

    def put(self, key: str, body: IOBase, *, size: int, md5: bytes, only_new: bool = False) -> None:
        """Write an object at once; S3 compares the MD5.

        Raises:
            ObjectThere: with `only_new`, where the server knows that condition.
        """
        given = {"ContentLength": size, "ContentMD5": _text(md5)} | self._encryption
        condition = {"IfNoneMatch": "*"} if only_new else {}
        try:
            with self._asked(f"write {key}"):
                self._s3.put_object(Bucket=self.place.bucket, Key=key, Body=body, **given, **condition)
        except NotSpoken:
            if not only_new:
                raise
            body.seek(0)
            self.put(key, body, size=size, md5=md5)

    def get(self, key: str, *, first: int = 0) -> Stream:
        """An object's content from a byte on.

        Raises:
            ObjectMissing: there is none.
        """
        given = {"Range": f"bytes={first}-"} if first else {}
        with self._asked(f"read {key}"):
            stream: Stream = self._s3.get_object(Bucket=self.place.bucket, Key=key, **given)["Body"]
        return stream

    def has(self, key: str) -> bool:
        """Whether there is an object of that key."""
        try:
            with self._asked(f"look for {key}"):
                self._s3.head_object(Bucket=self.place.bucket, Key=key)
        except ObjectMissing:
            return False
        return True

    def objects(self, prefix: str) -> Iterator[Listed]:
        """All whose key begins so."""
        for page in self._pages("list_objects_v2", Prefix=prefix):
            for found in page.get("Contents", ()):
                yield Listed(key=found["Key"], at=found["LastModified"], bytes=found["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """What the keys that begin so have up to the next slash, without it."""
        for page in self._pages("list_objects_v2", Prefix=prefix, Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(prefix).rstrip("/")

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._asked(f"remove {key}"):
            self._s3.delete_object(Bucket=self.place.bucket, Key=key)

    def begin_upload(self, key: str) -> str:
        """Begin a multipart upload; its id."""
        with self._asked(f"write {key}"):
            begun = self._s3.create_multipart_upload(Bucket=self.place.bucket, Key=key, **self._encryption)
        return str(begun["UploadId"])

    def put_part(self, key: str, upload: str, number: int, body: IOBase, *, size: int, md5: bytes) -> str:
        """Write one part, from 1 on; the tag that `complete` wants.

        Raises:
            UploadGone: it was ended meanwhile.
        """
        with self._asked(f"write part {number} of {key}"):
            written = self._s3.upload_part(
                Bucket=self.place.bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ContentLength=size,
                ContentMD5=_text(md5),
            )
        return str(written["ETag"])

    def parts(self, key: str, upload: str) -> dict[int, tuple[int, str]]:
        """The parts that are there: bytes and tag by number."""
        return {
            part["PartNumber"]: (part["Size"], part["ETag"])
            for page in self._pages("list_parts", Key=key, UploadId=upload)
            for part in page.get("Parts", ())
        }

    def complete(self, key: str, upload: str, tags: dict[int, str]) -> None:
        """Make the parts one object.

        Raises:
            UploadGone: it was ended meanwhile, or completed.
        """
        parts = [{"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)]
        with self._asked(f"complete {key}"):
            self._s3.complete_multipart_upload(
                Bucket=self.place.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )

    def abort(self, key: str, upload: str) -> None:
        """Give a multipart upload up, if it is there."""
        try:
            with self._asked(f"give up {key}"):
                self._s3.abort_multipart_upload(Bucket=self.place.bucket, Key=key, UploadId=upload)
        except UploadGone:
            return

    def uploads(self, prefix: str) -> Iterator[Listed]:
        """Multipart uploads that were begun and neither completed nor given up."""
        for page in self._pages("list_multipart_uploads", Prefix=prefix):
            for found in page.get("Uploads", ()):
                yield Listed(key=found["Key"], at=found["Initiated"], upload=found["UploadId"])

    def reading(self, key: str) -> AbstractContextManager[None]:
        """Translate what goes wrong while a stream is read."""
        return self._asked(f"read {key}")

    def _pages(self, call: str, **given: Any) -> Iterator[dict[str, Any]]:
        with self._asked(f"list {given.get('Prefix', given.get('Key', ''))}"):
            yield from self._s3.get_paginator(call).paginate(Bucket=self.place.bucket, **given)

    @property
    def _encryption(self) -> dict[str, Any]:
        place = self.place
        given = {"ServerSideEncryption": place.sse, "SSEKMSKeyId": place.kms_key_id}
        return {name: value for name, value in given.items() if value}

    @cached_property
    def _s3(self) -> Any:
        import boto3  # noqa: PLC0415  # a third of a second that only those pay who keep snapshots there
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        place, login = self.place, self.place.login
        try:
            session = boto3.session.Session(
                aws_access_key_id=login.access_key_id if login else None,
                aws_secret_access_key=login.secret_access_key if login else None,
                aws_session_token=(login.session_token or None) if login else None,
                region_name=place.region or None,
                profile_name=place.profile or None,
            )
            return session.client(
                "s3",
                endpoint_url=place.endpoint_url or None,
                config=Config(
                    connect_timeout=_CONNECT_S,
                    read_timeout=place.silence_s,
                    retries={"mode": "standard", "total_max_attempts": place.attempts},
                    max_pool_connections=place.at_once + 2,
                    # Others that speak S3 do not know AWS's newer checksums; each body has its MD5.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": "path" if place.path_style else "auto"},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise Refused(
                f"{place} cannot be used.",
                why=f"{type(error).__name__}: {error}",
                next_step="correct [backup.s3], or the Prefect block Snapshot Store",
            ) from None

    def _asked(self, doing: str) -> AbstractContextManager[None]:
        return explained(self.place, doing)


def _text(md5: bytes) -> str:
    return base64.b64encode(md5).decode()
