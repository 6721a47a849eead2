"""An S3 that answers over HTTP, and one between us and it that can be told how to misbehave."""

from __future__ import annotations

import contextlib
import functools
import http.client
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest

from faberdb.snapshot.place import S3Login, S3Place
from faberdb.snapshot.store.s3 import S3Store
from faberdb.snapshot.store.s3_client import S3Client
from faberdb.snapshot.store.scratch import Scratch

LOGIN = S3Login(access_key_id="testing", secret_access_key="testing")
PART = 5 << 20  # the smallest that S3 takes


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Moto's S3 on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(s3_url: str) -> S3Place:
    """A prefix in a bucket of this test's own."""
    bucket = f"t-{uuid.uuid4().hex[:12]}"
    boto(s3_url).create_bucket(Bucket=bucket)
    return place_at(s3_url, bucket, attempts=3)


def place_at(url: str, bucket: str, **more: Any) -> S3Place:
    """A prefix in a bucket of a server on loopback."""
    given: dict[str, Any] = {"prefix": "shop/snapshots", "login": LOGIN, "silence_s": 5} | more
    return S3Place(
        bucket=bucket, region="us-east-1", endpoint_url=url, path_style=True, part_bytes=PART, **given
    )


@pytest.fixture
def s3_store(place: S3Place, tmp_path: Path) -> S3Store:
    return store_at(place, tmp_path)


def store_at(place: S3Place, folder: Path) -> S3Store:
    return S3Store(S3Client(place), Scratch(folder / "scratch"))


@functools.cache
def boto(url: str, service: str = "s3"):  # type: ignore[no-untyped-def]
    """The server seen past our own client."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def keys(place: S3Place) -> list[str]:
    found = boto(place.endpoint_url).list_objects_v2(Bucket=place.bucket)
    return [o["Key"] for o in found.get("Contents", ())]


def open_uploads(place: S3Place) -> list[str]:
    found = boto(place.endpoint_url).list_multipart_uploads(Bucket=place.bucket)
    return [u["Key"] for u in found.get("Uploads", ())]


@dataclass
class Fault:
    """One way to misbehave, so many times, on the requests that it fits."""

    how: Literal["answer", "silent", "cut request", "cut answer", "lose answer"]
    times: int
    method: str = ""
    path: str = ""  # a part of it
    status: int = 503
    after: int = 1000  # bytes that pass before it is cut

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in {"", method} and self.path in path


@dataclass
class FaultyS3:
    """Passes requests on to a real one, but where a fault fits."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)  # method and path with its query
    on_request: Callable[[str, str], None] = lambda method, path: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        """Its address, for as long as the block lasts."""
        server = _Server(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.seen.append((method, path))
            found = next((f for f in self.faults if f.fits(method, path)), None)
            if found is not None:
                found.times -= 1
            return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was cut is no news."""


def _handler(standin: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            standin.on_request(self.command, self.path)
            fault = standin.fault(self.command, self.path)
            length = int(self.headers.get("Content-Length") or 0)
            if fault is not None and fault.how == "cut request":
                self.rfile.read(min(length, fault.after))
                self._cut()
                return
            body = self.rfile.read(length)
            if fault is not None and fault.how == "answer":
                self._send(
                    fault.status, {}, _XML % (b"SlowDown" if fault.status == 503 else b"InternalError")
                )
                return
            if fault is not None and fault.how == "silent":
                time.sleep(fault.after / 1000)
                self._cut()
                return
            status, headers, answer = self._passed_on(body)
            if fault is not None and fault.how == "lose answer":
                self._cut()
            elif fault is not None and fault.how == "cut answer":
                self._send(status, headers, answer, only=fault.after)
                self._cut()
            else:
                self._send(status, headers, answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any  # noqa: N815

        def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            upstream = http.client.HTTPConnection(standin.upstream.removeprefix("http://"), timeout=30)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in {"expect", "connection"}}
            try:
                upstream.request(self.command, self.path, body=body, headers=headers)
                answer = upstream.getresponse()
                content = answer.read()
                kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOPS}
                if self.command == "HEAD":
                    kept["Content-Length"] = answer.getheader("Content-Length") or "0"
                return answer.status, kept, content
            finally:
                upstream.close()

        def _send(
            self, status: int, headers: dict[str, str], body: bytes, *, only: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if only is None else body[:only])
            self.wfile.flush()

        def _cut(self) -> None:
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


_HOPS = {"transfer-encoding", "connection", "content-length", "server", "date"}
_XML = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>told to</Message></Error>"
