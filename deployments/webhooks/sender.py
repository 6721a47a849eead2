"""Making runs of what the outbox holds: at once where Prefect answers, and later where it did not."""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg

from deployments.api import PrefectApi
from deployments.webhooks.outbox import Delivery, Outbox, Outcome, State
from faberdb.errors import AuthenticationFailed, FaberError, Refused, Transient

log = logging.getLogger("faber-db.webhooks")

_AT_ONCE = 4  # requests' own deliveries in sending; the outbox has connections for these and for accepting
_LOOK_EVERY_S = 0.5
_LONGEST_PAUSE_S = 30.0


class Sender:
    """Sends in threads of its own, from `start` to `stop`."""

    def __init__(self, outbox: Outbox, api: PrefectApi) -> None:
        self._outbox = outbox
        self._api = api
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")
        self._failures = 0  # in a row, of the background's

    def start(self) -> None:
        """Send in the background whatever is due."""
        threading.Thread(target=self._run, name="webhook-sender", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more; what is pending stays so."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def send_now(self, key: str) -> Future[Delivery]:
        """Send one as soon as a thread is free. Cancelling it before leaves it to the background."""
        return self._threads.submit(self._outbox.attempt, key, self.create_run)

    def create_run(self, delivery: Delivery) -> Outcome:
        """Have Prefect make the run; the same key gives the same run, so an attempt may be made twice."""
        try:
            run = self._api.create_run(delivery.deployment, delivery.parameters, key=delivery.key)
        except (Transient, AuthenticationFailed) as error:  # not the delivery's fault
            return self._later(delivery, error.reason)
        except Refused as error:
            log.warning("%s: refused: %s", delivery.key, error.reason)
            return Outcome(state=State.REFUSED, error=error.reason)
        except Exception as error:  # what is not Prefect answered in its place
            log.exception("%s", delivery.key)
            return self._later(delivery, type(error).__name__)
        log.info("%s: run %s of %s", delivery.key, run, delivery.deployment)
        return Outcome(state=State.SENT, run=run)

    def _later(self, delivery: Delivery, error: str) -> Outcome:
        pause = _pause(delivery.attempts)
        log.warning("%s: again in %.0f s: %s", delivery.key, pause, error)
        return Outcome(state=State.PENDING, error=error, again_in_s=pause)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._round())

    def _round(self) -> float:
        """Send one; the seconds until the next."""
        try:
            sent = self._outbox.attempt_next(self.create_run)
        except (FaberError, psycopg.Error) as error:
            log.warning("the outbox does not answer: %s", type(error).__name__)
            self._failures += 1
        else:
            if sent is None:
                return _LOOK_EVERY_S
            self._failures = self._failures + 1 if sent.state is State.PENDING else 0
        # Two hundred deliveries do not all knock at a Prefect that has just failed.
        return min(5.0, _pause(self._failures - 1)) if self._failures else 0.0


def _pause(failures: int) -> float:
    """Growing with each failure in a row up to half a minute, and never the same for two."""
    longest = min(_LONGEST_PAUSE_S, 0.5 * 2.0 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- to spread load, not to keep a secret
