"""The receiver's doors: who may come in, how much they may bring, and what they are told."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from deployments.api import PrefectApi
from deployments.webhooks.events import Event, NotAllowed, Unreadable, read_generic, read_github, read_gitlab
from deployments.webhooks.outbox import Delivery, Outbox, State
from deployments.webhooks.rules import decide
from deployments.webhooks.sender import Sender
from deployments.webhooks.signatures import signed_by_github, signed_generic, token_of_gitlab
from faberdb.config.webhooks import WebhookSection
from faberdb.credentials import look_up
from faberdb.errors import FaberError
from faberdb.project import Project

log = logging.getLogger("faber-db.webhooks")

_BODY_TIMEOUT_S = 30.0
_LISTEN_ON_S = 2.0
_ANSWER_WITHIN_S = 2.0  # senders give up after ten seconds, and what was accepted is safe
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The signature is missing or wrong."},
    403: {"description": "The door is closed, or no rule is for this repository, branch and event."},
    413: {"description": "The body is too long."},
    422: {
        "description": "The body is not what the event says, or the rule's deployment does not take the run."
    },
    503: {"description": "The delivery could not be kept. Send it again."},
}


def create_app(project: Project, api: PrefectApi, *, ui: str = "") -> FastAPI:
    """The receiver of one project's deliveries.

    Args:
        project: whose rules decide.
        api: where runs are made.
        ui: base of the links to runs; by default where the API is.
    """
    outbox = Outbox(project)
    outbox.prepare()
    sender = Sender(outbox, api)
    receiver = _Receiver(project, outbox, sender, ui or api.url.removesuffix("/api"))

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        sender.start()
        yield
        sender.stop()
        outbox.close()

    app = FastAPI(title="faber-db webhooks", lifespan=running)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether deliveries can be kept."""
        outbox.newest(limit=1)
        return {"status": "ok"}

    for add_door in (_add_github, _add_gitlab, _add_generic):
        add_door(app, receiver, project.config.webhooks)
    _add_answers(app)
    return app


def _add_github(app: FastAPI, receiver: _Receiver, limits: WebhookSection) -> None:
    @app.post("/github", status_code=202, responses=_ANSWERS, openapi_extra=_BODY)
    async def github(
        request: Request,
        x_github_event: Annotated[str, Header()] = "",
        x_github_delivery: Annotated[str, Header()] = "",
        x_hub_signature_256: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        """GitHub's pushes and pull requests."""
        body = await read_body(request, limits.max_body_bytes)
        secret = receiver.secret(limits.github_secret_env)
        _require(signed_by_github(secret, body, x_hub_signature_256))
        if x_github_event == "ping":
            return JSONResponse({"status": "ok"})
        return await receiver.take("github", x_github_delivery, read_github(x_github_event, body))


def _add_gitlab(app: FastAPI, receiver: _Receiver, limits: WebhookSection) -> None:
    @app.post("/gitlab", status_code=202, responses=_ANSWERS, openapi_extra=_BODY)
    async def gitlab(
        request: Request,
        x_gitlab_event: Annotated[str, Header()] = "",
        x_gitlab_event_uuid: Annotated[str, Header()] = "",
        idempotency_key: Annotated[str, Header()] = "",
        x_gitlab_token: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        """GitLab's pushes and merge requests."""
        body = await read_body(request, limits.max_body_bytes)
        secret = receiver.secret(limits.gitlab_token_env)
        _require(token_of_gitlab(secret, x_gitlab_token))
        # GitLab's retries share the key, which servers before 17.4 do not send.
        delivery = idempotency_key or x_gitlab_event_uuid
        return await receiver.take("gitlab", delivery, read_gitlab(x_gitlab_event, body))


def _add_generic(app: FastAPI, receiver: _Receiver, limits: WebhookSection) -> None:
    @app.post("/generic", status_code=202, responses=_ANSWERS, openapi_extra=_BODY)
    async def generic(
        request: Request,
        x_faberdb_delivery: Annotated[str, Header()] = "",
        x_faberdb_timestamp: Annotated[str, Header()] = "",
        x_faberdb_signature: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        """Any other sender: event, repository, branch, commit, requester and, if known, paths."""
        body = await read_body(request, limits.max_body_bytes)
        secret = receiver.secret(limits.generic_secret_env)
        given = {"timestamp": x_faberdb_timestamp, "signature": x_faberdb_signature}
        window = limits.timestamp_window_seconds
        _require(signed_generic(secret, body, **given, now=time.time(), window_s=window))
        return await receiver.take("generic", x_faberdb_delivery, read_generic(body))


def _add_answers(app: FastAPI) -> None:
    """What is told to whom may not come in, cannot be read, or was not kept."""

    @app.exception_handler(NotAllowed)
    def not_allowed(_: Request, error: NotAllowed) -> JSONResponse:
        log.info("turned away: %s", error.what)
        return JSONResponse({"detail": "not allowed"}, 403)

    @app.exception_handler(Unreadable)
    def unreadable(_: Request, error: Unreadable) -> JSONResponse:
        return JSONResponse({"detail": error.what}, 422)

    @app.exception_handler(FaberError)
    @app.exception_handler(psycopg.Error)
    def not_kept(_: Request, error: Exception) -> JSONResponse:
        log.error("a delivery could not be kept: %s", error)
        return JSONResponse({"detail": "not kept; send it again"}, 503, headers={"Retry-After": "10"})


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body, if it is not longer than the limit and does not take too long to come.

    A sender that is not listened to any more never reads the answer, so what is too long is still taken off
    the line for a moment, and not kept. Without `Connection: close` uvicorn would go on with that for ever.
    """
    announced = request.headers.get("content-length", "")
    too_long = announced.isdigit() and int(announced) > limit
    body = bytearray()
    try:
        async with asyncio.timeout(_LISTEN_ON_S if too_long else _BODY_TIMEOUT_S) as bound:
            async for part in request.stream():
                if too_long:
                    continue
                body += part
                if len(body) > limit:
                    too_long = True
                    body.clear()
                    bound.reschedule(asyncio.get_running_loop().time() + _LISTEN_ON_S)
    except TimeoutError:
        if not too_long:
            raise HTTPException(408, "too slow", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "cut off") from None
    if too_long:
        raise HTTPException(413, "too long", {"Connection": "close"})
    return bytes(body)


class _Receiver:
    """What the doors share."""

    def __init__(self, project: Project, outbox: Outbox, sender: Sender, ui: str) -> None:
        self._project = project
        self._outbox = outbox
        self._sender = sender
        self._ui = ui

    def secret(self, variable: str) -> str:
        """Of a door, looked up each time so that it can be rotated; a door without one is closed."""
        found = look_up(variable, self._project.root)
        if not found:
            raise NotAllowed(f"{variable} is not set.")
        return found

    async def take(self, door: str, delivery: str, event: Event) -> JSONResponse:
        """Keep what starts something, and answer with the run if it is there quickly."""
        if not _DELIVERY_ID.fullmatch(delivery):
            raise HTTPException(422, "the delivery has no readable id")
        key = f"{door}:{delivery}"
        decision = decide(self._project, event)
        if decision.parameters is None:
            log.info("%s: %s of %s starts nothing: %s", key, event.name, event.repository, decision.reason)
            return JSONResponse({"delivery": key, "run": None, "reason": decision.reason}, 202)
        kept = await run_in_threadpool(
            self._outbox.accept,
            key,
            repository=event.repository,
            event=event.name,
            deployment=decision.deployment,
            parameters=decision.parameters,
        )
        return self._answer(await self._sent(kept))

    async def _sent(self, kept: Delivery) -> Delivery:
        if kept.state is not State.PENDING:
            return kept
        try:
            sending = asyncio.wrap_future(self._sender.send_now(kept.key))
            return await asyncio.wait_for(sending, _ANSWER_WITHIN_S)
        except (TimeoutError, FaberError, psycopg.Error, RuntimeError):  # the last: it is just being stopped
            return kept  # on disk, so the background or the next start sends it

    def _answer(self, delivery: Delivery) -> JSONResponse:
        if delivery.state is State.REFUSED:
            return JSONResponse(
                {
                    "delivery": delivery.key,
                    "run": None,
                    "detail": "the rule's deployment does not take the run",
                },
                422,
            )
        if delivery.state is State.PENDING:
            reason = "Prefect has not answered yet; the run is made when it does"
            return JSONResponse({"delivery": delivery.key, "run": None, "reason": reason}, 202)
        link = f"{self._ui}/runs/flow-run/{delivery.run}"
        return JSONResponse({"delivery": delivery.key, "run": delivery.run, "link": link}, 202)


def _require(proven: bool) -> None:
    if not proven:
        raise HTTPException(401, "not authorised")
