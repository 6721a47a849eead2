"""A Prefect server, its database and a worker on this machine, for as long as somebody needs them.

The server's own database is in the embedded PostgreSQL: on SQLite it turns parallel triggers away.
Everything listens on the loopback interface or on a Unix socket, and ends with the block that started it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import psutil

from deployments.api import PrefectApi
from faberdb.databases import ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import find_server, start_server, stop_server
from faberdb.errors import Failed
from faberdb.progress import Progress, silent

POOL = "faber-db"
_START_TIMEOUT_S = 90
_END_TIMEOUT_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A Prefect that answers."""

    api: PrefectApi
    ui: str
    ours: bool  # started by this block, and ended by it


@contextlib.contextmanager
def running_stack(home: Path, progress: Progress = silent) -> Iterator[Stack]:
    """Use the Prefect that `PREFECT_API_URL` names, or run one of our own until the block ends.

    Args:
        home: the folder of local state; logs go to `home/logs`.
        progress: told what is being started.
    """
    found = find_prefect(home)
    if found is not None:
        yield Stack(api=found, ui=found.url.removesuffix("/api"), ours=False)
        return
    was_running = find_server(home) is not None
    with contextlib.ExitStack() as ended:
        progress("starting PostgreSQL")
        server = start_server(home)
        if not was_running:
            ended.callback(stop_server, home)
        yield _start(home, server, ended, progress)


def find_prefect(home: Path) -> PrefectApi | None:
    """The Prefect that `PREFECT_API_URL` names, or the one that another command runs here, or None."""
    given = os.environ.get("PREFECT_API_URL")
    if given:
        return PrefectApi(given.rstrip("/"), os.environ.get("PREFECT_API_AUTH_STRING", ""))
    state = _remembered(home)
    if not state.api or not _is_ours(state.owner):
        return None
    api = PrefectApi(state.api)
    return api if api.healthy() else None


def _start(home: Path, server: Dsn, ended: contextlib.ExitStack, progress: Progress) -> Stack:
    end_leftovers(home)
    ensure_database(server.with_database("prefect"))
    port = _free_port()
    env = _environment(home, server, port)
    api = PrefectApi(env["PREFECT_API_URL"])
    progress("starting the Prefect server")
    prefect = [sys.executable, "-m", "prefect"]
    main = _spawn(
        home, "server", [*prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)], env
    )
    ended.callback(_end, home, main)
    _wait(api.healthy, main, "the Prefect server", home)
    progress("starting a worker")
    worker = _spawn(
        home,
        "worker",
        [*prefect, "worker", "start", "--pool", POOL, "--type", "process", "--name", "faber-db local"],
        env,
    )
    ended.callback(_end, home, worker)
    _wait(lambda: api.pool_exists(POOL), worker, "the worker", home)
    progress("registering the deployments")
    register_deployments(home, env)
    return Stack(api=api, ui=env["PREFECT_API_URL"].removesuffix("/api"), ours=True)


def register_deployments(home: Path, env: dict[str, str]) -> None:
    """Run Prefect's own `deploy --all` on our `prefect.yaml`, unless this Prefect has it of the same code."""
    mark, now = home / "prefect" / "deployed", _code_digest()
    if mark.is_file() and mark.read_text() == now:
        return
    log = _log(home, "deploy")
    file = str(resources.files("deployments") / "prefect.yaml")
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    with log.open("w") as out:
        for command in (
            [*prefect, "deploy", "--all", "--prefect-file", file],
            [*prefect, "block", "register", "--module", "blocks.registry"],
        ):
            done = subprocess.run(
                command, env=env, stdout=out, stderr=out, check=False, timeout=_START_TIMEOUT_S
            )
            if done.returncode != 0:
                why = _tail(log)
                raise Failed("The deployments could not be registered.", why=why, next_step=f"read {log}")
    mark.write_text(now)


def _code_digest() -> str:
    """Of everything that decides what is registered: the deployments, and the flows with their parameters."""
    digest = hashlib.sha256(sys.prefix.encode())
    for room in ("blocks", "deployments", "flows", "tasks"):
        for path in sorted(Path(str(resources.files(room))).iterdir()):
            if path.is_file():
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _environment(home: Path, server: Dsn, port: int) -> dict[str, str]:
    database = f"postgresql+asyncpg://{server.user}@/prefect?host={quote(server.host, safe='/')}"
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "FABER_DB_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "0.3",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _spawn(home: Path, name: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C reaches us and we end it in order."""
    with _log(home, name).open("ab") as out:
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    state = _remembered(home)
    _remember(
        home,
        _State(owner=os.getpid(), api=env["PREFECT_API_URL"], processes=(*state.processes, process.pid)),
    )
    return process


def _end(home: Path, process: subprocess.Popen[bytes]) -> None:
    _end_group(process.pid, process)
    state = _remembered(home)
    _remember(home, replace(state, processes=tuple(p for p in state.processes if p != process.pid)))


def _end_group(pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Terminate a session of ours and all that came from it; kill what does not end in time.

    A worker starts each flow run in a session of its own, so a group's end is not enough.
    """
    family = _family(pid)
    for number, patience in ((signal.SIGTERM, _END_TIMEOUT_S), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if process is not None:
                process.poll()
            if not _group_lives(pid):
                break
            time.sleep(0.05)
        if not _group_lives(pid):
            break
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()  # a flow run that outlived its worker; its ledger tells the next run where it was


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_leftovers(home: Path) -> None:
    """End what a command that was killed left behind."""
    for pid in _remembered(home).processes:
        if _is_ours(pid):
            _end_group(pid)
    _remember(home, _State())


def _is_ours(pid: int) -> bool:
    """Whether the process is one of ours; a reused process id is told by its command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"prefect" in command or b"faber-db" in command


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What `home/stack.json` keeps, so that another command finds the stack, or ends what is left of it."""

    owner: int = 0
    api: str = ""
    processes: tuple[int, ...] = ()


def _remembered(home: Path) -> _State:
    try:
        found = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        return _State()
    return _State(owner=found["owner"], api=found["api"], processes=tuple(found["processes"]))


def _remember(home: Path, state: _State) -> None:
    (home / "stack.json").write_text(json.dumps(asdict(state)))


def _wait(ready: object, process: subprocess.Popen[bytes], what: str, home: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    assert callable(ready)
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            logs = home / "logs"
            name = "server" if "server" in what else "worker"
            raise Failed(
                f"{what[0].upper()}{what[1:]} did not start.",
                why=_tail(logs / f"{name}.log"),
                next_step="faber-db doctor",
            )
        time.sleep(0.1)


def _log(home: Path, name: str) -> Path:
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:].strip() if log.exists() else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
