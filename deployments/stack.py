"""A Prefect server, its database and workers on this machine, for as long as somebody needs them.

The server's own database is in the embedded PostgreSQL unless a variable names another: on SQLite it turns
parallel triggers away. Everything listens on the loopback interface or on a Unix socket unless it is asked
otherwise, and ends with the block that started it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import replace

from deployments.api import PrefectApi
from deployments.lost_runs import lost_runs, settle
from deployments.ownership import owning, unused, using
from deployments.processes import Running, Service, end, end_leftovers, log_of, start, tail
from deployments.registration import POOL, register_deployments
from deployments.stack_state import StackState, remember, remembered, seems_up
from faberdb.databases import ensure_database
from faberdb.embedded import find_server, start_server, stop_server
from faberdb.errors import Failed, Refused, ServerUnreachable
from faberdb.progress import Progress, silent

DATABASE_VARIABLE = "PREFECT_API_DATABASE_CONNECTION_URL"
AUTH_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
BEAT_S = 30  # how often a flow run says that it lives
_START_TIMEOUT_S = 90
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Shape(Struct, frozen=True, kw_only=True):
    """What to run, and where it listens."""

    host: str = "127.0.0.1"
    port: int = 0  # of the Prefect server; 0: a free one
    workers: int = 1
    receiver_port: int | None = None  # of the webhook receiver; None: none is run
    project: Path | None = None  # whose webhooks it receives, and whose names the forms offer
    supervised: bool = False


class Stack(Struct, frozen=True, kw_only=True):
    """A Prefect that answers."""

    api: PrefectApi
    ui: str
    ours: bool  # started by this block, and ended by it
    running: list[Running] = field(default_factory=list)


@contextlib.contextmanager
def running_stack(home: Path, progress: Progress = silent, *, shape: Shape | None = None) -> Iterator[Stack]:
    """Use the Prefect that is there, or run one of our own until the block ends.

    Args:
        home: the folder of local state; logs go to `home/logs`.
        progress: told what is being started.
        shape: what to run; given, what is there already is refused instead of used.

    Raises:
        Refused: the shape would be open to others without a password, or something runs here already.
        ServerUnreachable: another command runs one here that does not get ready.
        AuthenticationFailed: it wants another password than ours.
    """
    if shape is None and os.environ.get("PREFECT_API_URL"):
        yield _theirs(_given())
        return
    with contextlib.ExitStack() as ended:
        deadline = 0.0
        while not ended.enter_context(owning(home)):
            if shape is not None:
                raise _runs_already(home)
            if ended.enter_context(using(home)) and (found := find_prefect(home)) is not None:
                yield _theirs(found)
                return
            ended.close()
            if not deadline:
                progress("waiting for the Prefect that another command starts or ends")
                deadline = time.monotonic() + _START_TIMEOUT_S
            if time.monotonic() > deadline:
                raise _never_ready(home)
            time.sleep(0.2)
        yield _start(home, shape or Shape(), ended, progress)


def find_prefect(home: Path) -> PrefectApi | None:
    """The Prefect that `PREFECT_API_URL` names, or the one that another command runs here, or None.

    Raises:
        AuthenticationFailed: the one that runs here wants another password than ours.
    """
    if os.environ.get("PREFECT_API_URL"):
        return _given()
    if not seems_up(home):
        return None
    api = PrefectApi(remembered(home).api, _client_login())
    return api if api.healthy() else None


def _given() -> PrefectApi:
    return PrefectApi(os.environ["PREFECT_API_URL"].rstrip("/"), os.environ.get(CLIENT_AUTH_VARIABLE, ""))


def _theirs(api: PrefectApi) -> Stack:
    return Stack(api=api, ui=api.url.removesuffix("/api"), ours=False)


def _runs_already(home: Path) -> Refused:
    url = remembered(home).api.removesuffix("/api")
    return Refused(
        f"Prefect runs here already: {url or 'another command starts it now'}.",
        next_step="use it, or end it first: faber-db down",
    )


def _never_ready(home: Path) -> ServerUnreachable:
    return ServerUnreachable(
        f"The Prefect of process {remembered(home).owner} did not answer for {_START_TIMEOUT_S} s.",
        next_step="faber-db doctor",
    )


def _start(home: Path, shape: Shape, ended: contextlib.ExitStack, progress: Progress) -> Stack:
    _refuse_open_doors(shape)
    with unused(home, progress):  # what a killed command left may still be used
        end_leftovers(home)
    _refuse_taken_ports(shape)
    was_running = find_server(home) is not None
    progress("starting PostgreSQL")
    start_server(home)
    if not was_running:
        ended.callback(stop_server, home)
    env = _environment(home, shape)
    url = env["PREFECT_API_URL"]
    remember(home, StackState(owner=os.getpid(), api=url, supervised=shape.supervised))
    ended.callback(remember, home, StackState())  # last of all, when nothing of it runs any more
    stack = Stack(api=PrefectApi(url, _login()), ui=url.removesuffix("/api"), ours=True)

    def run(service: Service, ready: Callable[[], bool]) -> None:
        running = start(home, service)
        stack.running.append(running)
        ended.callback(end, home, running)
        _wait(ready, running, home)

    progress("starting the Prefect server")
    run(_server(env, shape), stack.api.healthy)
    lost = lost_runs(stack.api) if _alone(shape) else []
    progress("starting a worker" if shape.workers == 1 else f"starting {shape.workers} workers")
    for number in range(shape.workers):
        run(_worker(env, number), lambda: stack.api.pool_exists(POOL))
    progress("registering the deployments")
    register_deployments(home, env, stack.api, shape.project, automations=shape.supervised, beat_s=BEAT_S)
    settle(stack.api, lost, recover=shape.supervised, progress=progress)
    if shape.receiver_port is not None and shape.project is not None:
        progress("starting the webhook receiver")
        receiver = f"http://{_reachable(shape.host)}:{shape.receiver_port}"
        run(_receiver(env, shape), PrefectApi(receiver).healthy)
        remember(home, replace(remembered(home), receiver=receiver))
    remember(home, replace(remembered(home), ready=True))
    if not shape.supervised:  # faber-db down ends a supervised one whatever uses it
        ended.callback(_await_users, home, progress)
    return stack


def _await_users(home: Path, progress: Progress) -> None:
    with unused(home, progress):
        remember(home, replace(remembered(home), ready=False))


def _alone(shape: Shape) -> bool:
    """Whether nobody beyond this machine can have workers here: neither by our server nor by its database."""
    return shape.host in _LOOPBACK and not os.environ.get(DATABASE_VARIABLE)


def _server(env: dict[str, str], shape: Shape) -> Service:
    port = env["PREFECT_API_URL"].rsplit(":", 1)[1].split("/")[0]
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", shape.host, "--port", port)
    return Service(name="server", command=command, environment=env)


def _worker(env: dict[str, str], number: int) -> Service:
    prefect = (sys.executable, "-m", "prefect")
    name = f"faber-db local {number + 1}"
    command = (*prefect, "worker", "start", "--pool", POOL, "--type", "process", "--name", name)
    return Service(name=f"worker-{number + 1}", command=command, environment=env)


def _receiver(env: dict[str, str], shape: Shape) -> Service:
    command = (
        *(sys.executable, "-m", "deployments.webhooks", "--project", str(shape.project)),
        *("--host", shape.host, "--port", str(shape.receiver_port)),
    )
    return Service(name="receiver", command=command, environment=env)


def _environment(home: Path, shape: Shape) -> dict[str, str]:
    port = shape.port or free_port()
    login = {CLIENT_AUTH_VARIABLE: _login()} if _login() else {}
    project = {"FABER_DB_PROJECT": str(shape.project)} if shape.project else {}
    return {
        # A worker gives up, and ends its runs, when about 45 of these intervals pass with the server in trouble.
        "PREFECT_WORKER_QUERY_SECONDS": "1" if shape.supervised else "0.3",
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "FABER_DB_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"http://{_reachable(shape.host)}:{port}/api",
        "PREFECT_UI_URL": f"http://{_reachable(shape.host)}:{port}",
        DATABASE_VARIABLE: _database(home),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_S),
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "PYTHONUNBUFFERED": "1",
        **login,
        **project,
    }


def _database(home: Path) -> str:
    """The URL of Prefect's own database: the variable's, else one on the embedded server."""
    given = os.environ.get(DATABASE_VARIABLE, "")
    if given and not given.startswith("postgresql"):
        raise Refused(
            f"{DATABASE_VARIABLE} does not name a PostgreSQL database.",
            why="On SQLite Prefect answers parallel triggers with 503.",
            next_step=f"unset {DATABASE_VARIABLE}, or: export it as postgresql+asyncpg://USER:PASSWORD@HOST/NAME",
        )
    if given:
        return given
    server = start_server(home)
    ensure_database(server.with_database("prefect"))
    return f"postgresql+asyncpg://{server.user}@/prefect?host={quote(server.host, safe='/')}"


def _login() -> str:
    """The one shared credential, `user:password`, of the server that we run."""
    return os.environ.get(AUTH_VARIABLE, "")


def _client_login() -> str:
    """What we say to the server that another command runs."""
    return os.environ.get(CLIENT_AUTH_VARIABLE, "") or _login()


def _refuse_open_doors(shape: Shape) -> None:
    if shape.host in _LOOPBACK or _login():
        return
    raise Refused(
        f"Listening on {shape.host} without a password is refused: whoever reaches Prefect can release.",
        next_step=f"export {AUTH_VARIABLE}=USER:PASSWORD, then run the same command again",
    )


def _refuse_taken_ports(shape: Shape) -> None:
    wanted = {"--port": shape.port, "--webhook-port": shape.receiver_port or 0}
    for option, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((shape.host, port))
            except OSError as error:
                raise Refused(
                    f"{shape.host}:{port} cannot be listened on.",
                    why=error.strerror or str(error),
                    next_step=f"faber-db up {option} ANOTHER",
                ) from None


def _reachable(host: str) -> str:
    """What a client on this machine connects to."""
    return "127.0.0.1" if host in {"0.0.0.0", "::", "localhost"} else host  # noqa: S104 -- compared, not bound


def _wait(ready: Callable[[], bool], running: Running, home: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not ready():
        if running.process.poll() is not None or time.monotonic() > deadline:
            name = running.service.name
            why = tail(log_of(home, name))
            raise Failed(f"The {name} did not start.", why=why, next_step="faber-db doctor")
        time.sleep(0.1)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
