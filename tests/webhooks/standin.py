"""A Prefect that can be told how to misbehave, and a receiver that runs as in production."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from deployments.stack import free_port
from tests.webhooks.deliveries import SECRET, Sent

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SECRETS = dict.fromkeys(
    ("FABER_DB_GITHUB_SECRET", "FABER_DB_GITLAB_TOKEN", "FABER_DB_WEBHOOK_SECRET"), SECRET
)


@dataclass
class StandInPrefect:
    """Answers the few calls that making a run needs, over real HTTP; remembers who asked for what."""

    known: set[str] = field(default_factory=lambda: {"project", "ref", "requester", "autonomy"})
    status: int = 200  # other: that is the answer to everything
    delay_s: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)  # creations by key
    runs: dict[str, str] = field(default_factory=dict)  # by key
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Its API's URL, for as long as the block lasts."""
        server = _Server(("127.0.0.1", port), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        time.sleep(self.delay_s)
        if self.status != 200:
            return self.status, {"detail": "told so"}
        if path.endswith("/health"):
            return 200, True
        if not body:
            schema: dict[str, Any] = {"properties": {name: {} for name in self.known}}
            return 200, {"id": "d", "parameter_openapi_schema": schema}
        given = json.loads(body)
        key = given["idempotency_key"]
        with self.lock:
            self.asked[key] += 1
            self.parameters[key] = given["parameters"]
            return 201, {"id": self.runs.setdefault(key, str(uuid.uuid4()))}


class _Server(ThreadingHTTPServer):
    request_queue_size = 300
    daemon_threads = True


def _handler(prefect: StandInPrefect) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, answer = prefect.answer(self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@dataclass
class Receiver:
    """`python -m deployments.webhooks`, and requests to it."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def post(self, sent: Sent) -> httpx.Response:
        return httpx.post(f"{self.url}/{sent.door}", content=sent.body, headers=sent.headers, timeout=60)

    def post_at_once(self, deliveries: list[Sent], *, threads: int) -> list[httpx.Response]:
        with (
            httpx.Client(timeout=60, limits=httpx.Limits(max_connections=threads)) as client,
            ThreadPoolExecutor(threads) as pool,
        ):
            calls = [
                pool.submit(client.post, f"{self.url}/{d.door}", content=d.body, headers=d.headers)
                for d in deliveries
            ]
            return [call.result() for call in calls]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)


@contextlib.contextmanager
def receiver(project: Path, prefect: str, log: Path) -> Iterator[Receiver]:
    """A receiver that answers, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "deployments.webhooks", "--project", str(project), "--port", str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment(prefect), cwd=REPOSITORY, stdout=out, stderr=out)
    running = Receiver(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_for(lambda: process.poll() is not None or _answers(running.url), timeout_s=30)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.terminate()
        process.wait(timeout=25)


def command(project: Path, prefect: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m deployments.webhooks`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "deployments.webhooks", "--project", str(project), *arguments],
        env=environment(prefect),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(prefect: str) -> dict[str, str]:
    return {**os.environ, **SECRETS, "PREFECT_API_URL": prefect, "PYTHONUNBUFFERED": "1"}


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
