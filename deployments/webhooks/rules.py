"""What an event starts, by the configuration's rules. Decides only; opens nothing but the project's own folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from deployments.api import PrefectApi
from deployments.webhooks.events import PULL_REQUEST, Event, NotAllowed
from faberdb.config.webhooks import FROM_THE_EVENT, WebhookRule
from faberdb.errors import ConfigInvalid
from faberdb.policy import Autonomy
from faberdb.project import Project


class Decision(Struct, frozen=True, kw_only=True):
    """A run to create, or the reason for none."""

    deployment: str = ""
    parameters: Mapping[str, Any] | None = None  # None: nothing is run
    reason: str = ""


def decide(project: Project, event: Event) -> Decision:
    """The first rule that fits decides.

    Raises:
        NotAllowed: none is for this repository, event and branch.
    """
    named = [r for r in project.config.webhooks.rules if _is_for(r, event)]
    if named and event.idle:
        return Decision(reason=event.idle)
    fitting = [r for r in named if _matches([event.branch], r.branches)]
    if not fitting:
        raise NotAllowed("No rule is for this repository, event and branch.")
    for rule in fitting:
        if _touches(rule, event, default_path(project)):
            return Decision(deployment=rule.deployment, parameters=_parameters(project, rule, event))
    return Decision(reason="no path of a rule was touched")


def default_path(project: Project) -> str:
    """The glob of the migrations' folder, from the root of the git repository around the project."""
    folder = project.migrations_directory.resolve()
    root = next((p for p in (project.root, *project.root.parents) if (p / ".git").exists()), project.root)
    return f"{os.path.relpath(folder, root.resolve())}/**".removeprefix("./")


def require_known_parameters(project: Project, api: PrefectApi) -> None:
    """Refuse rules that a registered deployment could not take.

    Raises:
        ConfigInvalid: a rule gives a parameter that its deployment does not have.
        Refused, Transient: as `PrefectApi.parameters_of`.
    """
    for number, rule in enumerate(project.config.webhooks.rules):
        given = {*FROM_THE_EVENT, *rule.parameters} | ({"autonomy"} if rule.event == PULL_REQUEST else set())
        missing = sorted(given - api.parameters_of(rule.deployment))
        if missing:
            raise ConfigInvalid(
                f"webhooks.rules.{number} gives {rule.deployment} the unknown {', '.join(missing)}.",
                why="A delivery would be accepted, and its run could not be created.",
                next_step="correct the rule's deployment or parameters, then start the receiver again",
            )


def _is_for(rule: WebhookRule, event: Event) -> bool:
    return rule.repository.casefold() == event.repository.casefold() and rule.event == event.name


def _touches(rule: WebhookRule, event: Event, default: str) -> bool:
    if event.paths is None or rule.paths == ():
        return True
    return _matches(event.paths, (default,) if rule.paths is None else rule.paths)


def _matches(names: Iterable[str], globs: Iterable[str]) -> bool:
    wanted = tuple(globs)
    return any(fnmatchcase(name, glob) for name in names for glob in wanted)


def _parameters(project: Project, rule: WebhookRule, event: Event) -> dict[str, Any]:
    given = {
        **rule.parameters,
        "project": rule.source or str(project.root),
        "ref": event.commit,
        "requester": event.person,
    }
    return {**given, "autonomy": Autonomy.DRY_RUN.value} if event.name == PULL_REQUEST else given
