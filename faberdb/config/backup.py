"""Where snapshots go and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from faberdb.config.proving import Checksums
from faberdb.config.section import Seconds, Section
from faberdb.snapshot.place import S3Place, check_endpoint_url, parse_s3_url


def _s3_url(url: str) -> str:
    parse_s3_url(url)
    return url


def _endpoint(url: str) -> str:
    return check_endpoint_url(url) if url else ""


Encryption = Literal["", "AES256", "aws:kms", "aws:kms:dsse"]
S3Url = Annotated[str, AfterValidator(_s3_url)]
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]


class S3Section(Section):
    """A bucket of S3, or of anything that speaks it."""

    url: S3Url = Field(description="s3://BUCKET/PREFIX; a project's own prefix keeps its listing short.")
    region: str = Field(default="", description="Default: as boto3 finds it.")
    endpoint_url: EndpointUrl = Field(
        default="", description="Of another server that speaks S3, such as https://minio.example:9000."
    )
    path_style: bool = Field(
        default=False, description="https://HOST/BUCKET/ instead of https://BUCKET.HOST/."
    )
    sse: Encryption = Field(
        default="", description="Server-side encryption of each object. Default: what the bucket does."
    )
    kms_key_id: str = Field(
        default="", description="With aws:kms: the key. Default: the account's own for S3."
    )
    profile: str = Field(default="", description="In AWS's configuration files. Default: AWS_PROFILE.")
    part_mib: int = Field(
        default=16, ge=5, le=5120, description="Larger files go in parts of so much, each tried by itself."
    )
    requests_at_once: int = Field(default=8, ge=1, le=64, description="Parts and files on their way.")
    attempts: int = Field(default=6, ge=1, le=20, description="Of one request, before S3 is said to be away.")
    silence_seconds: Seconds = Field(
        default=60, description="Without a byte, before a connection is given up and tried again."
    )

    @property
    def place(self) -> S3Place:
        """What it amounts to."""
        bucket, prefix = parse_s3_url(self.url)
        return S3Place(
            bucket=bucket,
            prefix=prefix,
            region=self.region,
            endpoint_url=self.endpoint_url,
            path_style=self.path_style,
            sse=self.sse,
            kms_key_id=self.kms_key_id,
            profile=self.profile,
            part_bytes=self.part_mib << 20,
            at_once=self.requests_at_once,
            attempts=self.attempts,
            silence_s=self.silence_seconds,
        )

    def problems(self) -> Iterator[str]:
        """What each key allows by itself and the whole does not; no value is quoted."""
        if self.kms_key_id and not self.sse.startswith("aws:kms"):
            yield 'kms_key_id has no effect without sse = "aws:kms"'
        if "@" in self.endpoint_url:
            yield "endpoint_url holds a login: credentials come from boto3's own places or a Prefect block"


class BackupSection(Section):
    """Where snapshots go and how long they are kept."""

    provider: str = Field(
        default="local",
        description="The plugin's word for it; what counts is whether there is a [backup.s3].",
    )
    directory: str = Field(default="", description="Default: snapshots/ in the folder of local state.")
    s3: S3Section | None = Field(default=None, description="Instead of a directory.")
    scratch_directory: str = Field(
        default="",
        description="With S3, also where a block names the bucket: where a snapshot is before it is sent and after it"
        " is fetched; needs the size of the largest. Default: scratch/ in the folder of local state.",
    )
    retention_days: int = Field(default=30, ge=1, description="Kept at least so long.")
    backup_before_destructive_ops: bool = Field(
        default=True, description="A destructive statement takes a snapshot even where it is optional."
    )
    timeout_seconds: Seconds = Field(
        default=3600, description="Bound on one dump or restore, and on one upload or download."
    )
    fresh_minutes: float = Field(
        default=60, gt=0, description="An undo goes back by itself only to a snapshot that is no older."
    )

    templates: tuple[str, ...] = Field(
        default=(),
        description="Environments whose idle database is kept as a copy on its own server instead of a dump: much"
        " faster, and gone with the server. Never a protected one, nor where rehearsals have a server of their own.",
    )
    checksums: Checksums = Field(
        default=Checksums.SAMPLE,
        description="Of which rows' content a snapshot keeps a checksum for each table. sample: all of small tables,"
        " one in 64 of large ones with a primary key; full: all; none.",
    )
    proof_hours: float = Field(
        default=24, gt=0, description="So long a restored and compared snapshot counts as recent proof."
    )

    def problems(self) -> Iterator[str]:
        """What each key allows by itself and the whole does not."""
        if self.directory and self.s3 is not None:
            yield "backup has both directory and s3: keep one"
        yield from (f"backup.s3.{problem}" for problem in (self.s3.problems() if self.s3 else ()))
