"""How long a CI waits for the receiver: from a signed webhook to the answer with the id of the created run.

Starts a Prefect, a PostgreSQL and a receiver of its own and ends them. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from deployments.api import PrefectApi
from deployments.stack import free_port, running_stack
from faberdb.embedded import start_server, stop_server

_TARGET_MS: Final = 200
_WARM_UP: Final = 3
_START_TIMEOUT_S: Final = 60
_CONFIG: Final = (
    '[project]\nname = "bench"\n[[webhooks.rules]]\nrepository = "acme/shop"\n'
    'source = "https://example.com/acme/shop.git"\ndeployment = "bench/bench"\n'
)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20, help="measured, after three that are not")
    number = parser.parse_args().deliveries
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended then too
    os.environ.pop("PREFECT_API_URL", None)
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as temporary:
        folder = Path(temporary)
        home = folder / "home"
        home.mkdir()
        (folder / "faber-db.toml").write_text(_CONFIG)
        os.environ["FABER_DB_HOME"] = str(home)
        start_server(home)
        try:
            with running_stack(home) as stack:
                _register(stack.api)
                with _receiver(folder, stack.api) as (url, secret):
                    whole = [_deliver(url, secret) for _ in range(_WARM_UP + number)][_WARM_UP:]
                alone = [_create(stack.api) for _ in range(_WARM_UP + number)][_WARM_UP:]
        finally:
            stop_server(home)
    print(f"{number} deliveries, one after the other; {os.cpu_count()} cores; target: p95 {_TARGET_MS} ms")
    print("\n| | min ms | p50 ms | p95 ms | max ms |\n| --- | --: | --: | --: | --: |")
    print(_row("webhook to run created", whole))
    print(_row("of which Prefect's part", alone))
    sys.exit(_percentile(whole, 95) > _TARGET_MS)


def _register(api: PrefectApi) -> None:
    """A deployment that takes what the pipeline takes, and whose runs nobody begins."""
    flow = httpx.post(f"{api.url}/flows/", json={"name": "bench"}).raise_for_status().json()["id"]
    schema = {"type": "object", "properties": {n: {} for n in ("project", "ref", "requester", "autonomy")}}
    body = {"name": "bench", "flow_id": flow, "parameter_openapi_schema": schema}
    httpx.post(f"{api.url}/deployments/", json=body).raise_for_status()


@contextlib.contextmanager
def _receiver(folder: Path, api: PrefectApi) -> Iterator[tuple[str, str]]:
    secret = secrets.token_hex()
    port = free_port()
    command = [sys.executable, "-m", "deployments.webhooks", "--project", str(folder), "--port", str(port)]
    env = {**os.environ, "PREFECT_API_URL": api.url, "FABER_DB_GITHUB_SECRET": secret}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not PrefectApi(url).healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The receiver did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield url, secret
    finally:
        process.terminate()
        process.wait(timeout=30)


def _deliver(url: str, secret: str) -> float:
    """Milliseconds from the beginning of the request, on a connection of its own, to the run's id."""
    commit = secrets.token_hex(20)
    payload = {
        "ref": "refs/heads/main",
        "after": commit,
        "repository": {"full_name": "acme/shop"},
        "pusher": {"name": "priya"},
        "commits": [{"added": ["prisma/migrations/0001_x/migration.sql"]}],
    }
    body = json.dumps(payload).encode()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": commit,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    with httpx.Client() as client:
        begun = time.perf_counter()
        answer = client.post(f"{url}/github", content=body, headers=headers, timeout=30)
        took = time.perf_counter() - begun
    if answer.status_code != 202 or not answer.json()["run"]:
        sys.exit(f"No run was created: {answer.status_code} {answer.text}")
    return took * 1000


def _create(api: PrefectApi) -> float:
    key = secrets.token_hex(20)
    begun = time.perf_counter()
    api.create_run("bench/bench", {"project": "x", "ref": key, "requester": "priya"}, key=key)
    return (time.perf_counter() - begun) * 1000


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _row(name: str, values: list[float]) -> str:
    figures = (min(values), _percentile(values, 50), _percentile(values, 95), max(values))
    return f"| {name} | {' | '.join(f'{f:.0f}' for f in figures)} |"


if __name__ == "__main__":
    main()
