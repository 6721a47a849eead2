"""What Prefect's blocks say of one environment, as plain values: the domain does not know Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.dsn import Dsn
from faberdb.policy import NO_TIGHTENING, Tightening
from faberdb.snapshot.place import S3Place


class Given(Struct, frozen=True, kw_only=True):
    """An environment's settings from blocks. What is None is as the configuration says."""

    dsn: Dsn | None = None  # wins over variables
    block: str = ""  # the name of the block that `dsn` is from
    snapshots: Path | S3Place | None = None  # wins over [backup] directory and [backup.s3]
    tightening: Tightening = NO_TIGHTENING


NOTHING_GIVEN: Final = Given()
