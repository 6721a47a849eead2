"""The few calls of Prefect's REST API that triggering, watching and resuming need; no import of Prefect."""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
from msgspec import Struct

from faberdb.errors import AuthenticationFailed, Refused, ServerUnreachable

_TIMEOUT_S = 15.0


class RunState(Struct, frozen=True, kw_only=True):
    """Where a flow run stands."""

    kind: str  # Prefect's state type: SCHEDULED, RUNNING, PAUSED, COMPLETED, FAILED, CRASHED, CANCELLED ...
    name: str
    message: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    @property
    def waiting(self) -> bool:
        """Whether it waits for a person."""
        return self.kind == "PAUSED"


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect server by its API URL, such as `http://127.0.0.1:4200/api`."""

    url: str
    auth: str = field(default="", repr=False)  # user:password, as PREFECT_API_AUTH_STRING holds it

    @cached_property
    def _client(self) -> httpx.Client:
        """One for all calls: making one costs more than a call."""
        login = self.auth.split(":", 1) if self.auth else None
        client = httpx.Client(timeout=_TIMEOUT_S, auth=(login[0], login[1]) if login else None)
        weakref.finalize(self, client.close)
        return client

    def healthy(self) -> bool:
        """Whether the server answers now.

        Raises:
            AuthenticationFailed: it does, and turns our login away.
        """
        try:
            status = self._client.get(f"{self.url}/health", timeout=2.0).status_code
        except httpx.HTTPError:
            return False
        if status in {401, 403}:
            raise self._turned_away()
        return status == 200

    def create_run(self, deployment: str, parameters: Mapping[str, Any], *, key: str = "") -> str:
        """Create a run of a deployment.

        Args:
            deployment: `flow/deployment`.
            parameters: as the flow declares them; checked here, since Prefect accepts unknown ones.
            key: an idempotency key; the same key gives the same run.

        Returns:
            The run's id.
        """
        found = self._call("GET", f"/deployments/name/{deployment}")
        known = _parameters(found)
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise Refused(
                f"{deployment} has no parameter {', '.join(unknown)}.",
                why=f"It takes {', '.join(sorted(known))}.",
            )
        body: dict[str, Any] = {"parameters": dict(parameters), "state": {"type": "SCHEDULED"}}
        if key:
            body["idempotency_key"] = key
        run = self._call("POST", f"/deployments/{found['id']}/create_flow_run", body)
        return str(run["id"])

    def parameters_of(self, deployment: str) -> frozenset[str]:
        """The names of the parameters that `flow/deployment` takes."""
        return _parameters(self._call("GET", f"/deployments/name/{deployment}"))

    def state(self, run: str) -> RunState:
        """The state of a run."""
        state = self._call("GET", f"/flow_runs/{run}")["state"] or {}
        return RunState(
            kind=state.get("type", "PENDING"), name=state.get("name", ""), message=state.get("message") or ""
        )

    def resume(self, run: str, answer: Mapping[str, Any]) -> None:
        """Answer a suspended run's form; what the form does not ask for is left out.

        Raises:
            Refused: Prefect did not take the answer; it says 200 to that too, so the status is read.
        """
        fields = self._await_form(run)
        given = {name: value for name, value in answer.items() if name in fields}
        result = self._call("POST", f"/flow_runs/{run}/resume", {"run_input": given})
        if result["status"] != "ACCEPT":
            reason = (result.get("details") or {}).get("reason", "")
            raise Refused(f"Prefect did not resume run {run}: {result['status']}.", why=str(reason))

    def _await_form(self, run: str) -> frozenset[str]:
        """The form's fields, once it is stored: Prefect shows the run as suspended a moment before that."""
        state = self._call("GET", f"/flow_runs/{run}")["state"] or {}
        keys = (state.get("state_details") or {}).get("run_input_keyset") or {}
        deadline = time.monotonic() + _TIMEOUT_S
        while "schema" in keys and time.monotonic() < deadline:
            found = self._response("GET", f"/flow_runs/{run}/input/{keys['schema']}")
            if found.status_code == 200:
                form = found.json()
                return frozenset((json.loads(form) if isinstance(form, str) else form)["properties"])
            time.sleep(0.05)
        return frozenset()

    def cancel(self, run: str) -> None:
        """Ask a run to end."""
        self.set_state(run, "CANCELLING", "Cancelling", "", force=False)

    def set_state(self, run: str, kind: str, name: str, message: str, *, force: bool = True) -> None:
        """Put a run into a state; forced, whatever Prefect's rules say of the one that it is in."""
        state = {"type": kind, "name": name, "message": message or None}
        self._call("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": force})

    def runs_in(self, *kinds: str) -> list[dict[str, Any]]:
        """The newest runs in any of these state types, at most 200, as Prefect describes them."""
        chosen = {"flow_runs": {"state": {"type": {"any_": list(kinds)}}}, "limit": 200}
        return list(self._call("POST", "/flow_runs/filter", {**chosen, "sort": "START_TIME_DESC"}))

    def deployment_id(self, name: str) -> str:
        """The id of `flow/deployment`."""
        return str(self._call("GET", f"/deployments/name/{name}")["id"])

    def deployments_tagged(self, tag: str) -> list[dict[str, Any]]:
        """The deployments that carry a tag, as Prefect describes them."""
        chosen = {"deployments": {"tags": {"all_": [tag]}}, "limit": 200}
        return list(self._call("POST", "/deployments/filter", chosen))

    def deployments_named(self, name: str) -> list[dict[str, Any]]:
        """The deployments of a name, one per flow, as Prefect describes them."""
        chosen = {"deployments": {"name": {"any_": [name]}}, "limit": 200}
        return list(self._call("POST", "/deployments/filter", chosen))

    def update_deployment(self, deployment: str, changes: Mapping[str, Any]) -> None:
        """Change some of a deployment's properties."""
        self._call("PATCH", f"/deployments/{deployment}", changes)

    def activate_schedules(self, name: str) -> None:
        """Let a deployment's schedules run."""
        found = self._call("GET", f"/deployments/name/{name}")
        for schedule in found["schedules"]:
            path = f"/deployments/{found['id']}/schedules/{schedule['id']}"
            self._call("PATCH", path, {"active": True})

    def deployments_ahead(self, deployments: Sequence[str]) -> frozenset[str]:
        """The ids of those deployments that have a run scheduled."""
        chosen = {
            "deployments": {"id": {"any_": list(deployments)}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "limit": 200,
        }
        return frozenset(str(run["deployment_id"]) for run in self._call("POST", "/flow_runs/filter", chosen))

    def ensure_automation(self, automation: Mapping[str, Any]) -> None:
        """Create an automation, or replace the one of its name where it differs.

        A replaced one forgets whom it watches (Prefect gives its trigger a new id): a run that died with the
        stack, and beats no more, would never be missed.
        """
        wanted = {"automations": {"name": {"any_": [automation["name"]]}}}
        found = self._call("POST", "/automations/filter", wanted)
        if not found:
            self._call("POST", "/automations/", automation)
        elif not _says(found[0], {**automation, "enabled": True}):
            self._call("PUT", f"/automations/{found[0]['id']}", {**automation, "enabled": True})

    def automation_enabled(self, name: str) -> bool:
        """Whether there is an automation of that name, and it is not paused."""
        wanted = {"automations": {"name": {"any_": [name]}}}
        found = self._call("POST", "/automations/filter", wanted)
        return bool(found) and bool(found[0]["enabled"])

    def online_workers(self, pool: str) -> list[str]:
        """The names of a work pool's workers that were heard of lately."""
        found = self._call("POST", f"/work_pools/{pool}/workers/filter", {"limit": 100})
        return [w["name"] for w in found if w["status"] == "ONLINE"]

    def pool_exists(self, pool: str) -> bool:
        """Whether a work pool of that name was created."""
        return self._response("GET", f"/work_pools/{pool}").status_code == 200

    def block_exists(self, type_slug: str, name: str) -> bool:
        """Whether Prefect has a block of that type and name; its secrets are not asked for."""
        path = f"/block_types/slug/{type_slug}/block_documents/name/{name}"
        response = self._response("GET", path)
        if response.status_code == 404:  # no such block, or no such type yet
            return False
        if response.status_code in {401, 403}:
            raise self._turned_away()
        if response.is_error:
            raise ServerUnreachable(
                f"Prefect at {self.url} answered {response.status_code} when it was asked for a block.",
                next_step="faber-db doctor",
            )
        return True

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        response = self._response(method, path, body)
        if response.status_code == 404:
            raise Refused(
                f"Prefect at {self.url} does not know {path.rsplit('/', 1)[-1]!r}.",
                why="The deployments are not registered there, or the run was deleted.",
                next_step="prefect deploy --all --prefect-file deployments/prefect.yaml",
            )
        if response.status_code in {401, 403}:
            raise self._turned_away()
        if response.status_code >= 500 or response.status_code in {408, 429}:
            raise ServerUnreachable(
                f"Prefect answered {response.status_code} to {method} {path}.", why=response.text[:300]
            )
        if response.is_error:
            raise Refused(
                f"Prefect answered {response.status_code} to {method} {path}.", why=response.text[:300]
            )
        return response.json() if response.content else None

    def _turned_away(self) -> AuthenticationFailed:
        return AuthenticationFailed(
            f"Prefect at {self.url} turned the login away.",
            why="It has a password, and we gave another." if self.auth else "It has a password.",
            next_step="export PREFECT_API_AUTH_STRING=USER:PASSWORD",
        )

    def _response(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, f"{self.url}{path}", json=body)
        except httpx.HTTPError as error:
            raise ServerUnreachable(
                f"Prefect at {self.url} does not answer.",
                why=str(error) or type(error).__name__,
                next_step="faber-db doctor",
            ) from None


def _parameters(deployment: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(deployment["parameter_openapi_schema"].get("properties", {}))


def _says(found: Any, wanted: Any) -> bool:
    """Whether what Prefect keeps is what is wanted; it adds fields, and orders what it keeps as sets."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_says(found.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, (list, tuple)):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        if all(isinstance(w, str) for w in wanted):
            return sorted(found) == sorted(wanted)
        return all(_says(f, w) for f, w in zip(found, wanted, strict=True))
    return bool(found == wanted)
