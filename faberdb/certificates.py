"""Root certificates as files, because libpq reads them from nowhere else."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def keep_certificate(home: Path, pem: str) -> Path:
    """Write a certificate under the state home, once; its name is the SHA-256 of its text.

    Args:
        home: the folder of local state.
        pem: the certificate's text.
    """
    text = pem.encode()
    folder = home / "certificates"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{hashlib.sha256(text).hexdigest()}.pem"
    if path.is_file() and path.read_bytes() == text:
        return path
    handle, partial = tempfile.mkstemp(dir=folder)  # 0600; two tasks may write the same one
    with os.fdopen(handle, "wb") as file:
        file.write(text)
    os.replace(partial, path)
    return path
