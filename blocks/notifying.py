"""Telling people through Prefect's own notification blocks. News never stops or fails a release."""

from __future__ import annotations

import contextvars
import logging
import threading

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger
from prefect.logging.loggers import LoggingAdapter

from blocks.loading import notifier_of
from blocks.notifier import Event, Notifier
from faberdb.project import Project

TIMEOUT_S = 20.0


def notify(project: Project, event: Event, subject: str, body: str, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Tell the project's channel of an event.

    Args:
        project: whose.
        event: what happened; the Notifier block says which are told.
        subject: one line.
        body: the text.
        timeout_s: bound on the whole; a channel that takes longer is left alone.

    Returns:
        Whether it was told: False also where nobody wants to know.
    """
    told: list[bool] = []
    # Channels bring their own HTTP clients, whose waits we cannot bound: a thread can be left behind.
    worker = threading.Thread(
        target=contextvars.copy_context().run,
        args=(_tell, project, Event(event), subject, body, told),
        name="faber-db notifier",
        daemon=True,
    )
    worker.start()
    worker.join(timeout_s)
    if worker.is_alive():
        _logger().warning("The channel was not told of %s within %g s.", event, timeout_s)
    return bool(told)


def _tell(project: Project, event: Event, subject: str, body: str, told: list[bool]) -> None:
    notifier: Notifier | None = None
    try:
        notifier = notifier_of(project)
        if notifier is not None and event in notifier.events:
            _send(notifier.channel, subject, body)
            told.append(True)
    except Exception as error:
        # Its class only: a webhook's address, which is its secret, stands in many such messages.
        channel = notifier.channel if notifier else "Prefect's Notifier block"
        _logger().warning("%s could not be told of %s: %s", channel, event, type(error).__name__)


def _send(name: str, subject: str, body: str) -> None:
    import prefect.blocks.notifications  # noqa: F401, PLC0415 -- makes Prefect's own channels known

    channel = Block.load(name, _sync=True)  # type: ignore[call-arg]
    if not isinstance(channel, NotificationBlock):
        raise TypeError(f"{name} is no notification block")
    with channel.raise_on_failure():
        channel.notify(body, subject, _sync=True)  # type: ignore[call-arg, unused-coroutine]


def _logger() -> logging.Logger | LoggingAdapter:
    """The run's own, so that the warning is seen beside the release that it is about."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("faber-db")
