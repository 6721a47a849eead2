"""Finding the configuration's file and reading it into the model, with one clear error when it is wrong."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from faberdb.config.model import FaberConfig, Hosting
from faberdb.errors import ConfigInvalid

FILE_NAME = "faber-db.toml"
PLUGIN_FILE = Path(".fractary/plugins/faber-db/config.json")


def find_config(start: Path | None = None) -> Path:
    """The nearest configuration, from `start` upward.

    Args:
        start: a folder or the file itself. Default: `FABER_DB_PROJECT`, else the current folder.

    Raises:
        ConfigInvalid: there is none.
    """
    given = start or Path(os.environ.get("FABER_DB_PROJECT") or Path.cwd())
    place = given.resolve()
    if place.is_file():
        return place
    for folder in (place, *place.parents):
        for candidate in (folder / FILE_NAME, folder / PLUGIN_FILE):
            if candidate.is_file():
                return candidate
    raise ConfigInvalid(
        f"No {FILE_NAME} in {place} or above it.",
        why="faber-db has not been set up for this project, or you are outside it.",
        next_step="faber-db init, or --project FOLDER",
    )


def root_of(path: Path) -> Path:
    """The project's folder, given its configuration's file."""
    return path.parents[3] if path.parts[-4:] == PLUGIN_FILE.parts else path.parent


def load_config(path: Path) -> FaberConfig:
    """Read and check a configuration.

    Raises:
        ConfigInvalid: names every bad key, and what to write instead.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigInvalid(f"{path} is not readable {kind}.", why=str(error)) from None
    if not isinstance(raw, dict):
        raise ConfigInvalid(f"{path} does not hold a table of sections.")
    raw = {k: v for k, v in raw.items() if not k.startswith(("$", "_"))}  # editors' schema, comments
    try:
        config = FaberConfig.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(e) for e in error.errors()]
    else:
        problems = list(impossible_combinations(config))
        if not problems:
            return config
    raise ConfigInvalid(
        f"{path} has {len(problems)} bad {'entry' if len(problems) == 1 else 'entries'}.",
        why="; ".join(problems),
        next_step="correct the file, then: faber-db config check",
    )


def _problem(error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = known_keys(FaberConfig, error["loc"][:-1])
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
        return f"unknown key {key}: {hint}"
    return f"{key}: {str(error['msg']).removeprefix('Value error, ')} (it is {error['input']!r})"


def known_keys(model: type[BaseModel], path: tuple[Any, ...]) -> set[str]:
    """The keys that a section of the model takes; a name or index in `path` passes through tables."""
    here: type[BaseModel] | None = model
    for part in path:
        if here is not None and isinstance(part, str) and part in here.model_fields:
            here = _section(here.model_fields[part].annotation)
    return set(here.model_fields) if here is not None else set()


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for a in get_args(annotation) if (found := _section(a)) is not None), None)


def impossible_combinations(config: FaberConfig) -> Iterator[str]:
    """What each key allows by itself and the whole does not."""
    names = set(config.environments)
    for where, listed in _named_environments(config):
        for name in sorted(set(listed) - names):
            # the plugin's own defaults name production even where a project has none
            if where == "safety.protected_environments" and name in {"production", "prod"}:
                continue
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(config.environments)}"
            yield f"{where} names {name!r}, which is no environment: {hint}"
    yield from _impossible_sections(config)
    yield from config.health.impossible_bounds()
    used = {e.connection_string_env for e in config.environments.values() if e.connection_string_env}
    if config.ledger.connection_string_env in used:
        yield "ledger.connection_string_env is an environment's variable: the ledger needs a database of its own"


def _impossible_sections(config: FaberConfig) -> Iterator[str]:
    for name, environment in config.environments.items():
        hosting = environment.hosting or config.database.hosting
        if hosting is Hosting.EMBEDDED and (
            environment.connection_block or environment.direct_connection_string_env
        ):
            yield f'environments.{name} is embedded and has a connection: set its hosting = "postgres"'
    for name, listed in config.safety.approvers.items():
        people, needed = len({n.strip().casefold() for n in listed}), config.safety.approvals.get(name, 1)
        if listed and people < needed:
            yield f"safety.approvals wants {needed} of {name}, and safety.approvers names {people}"
    yield from config.backup.problems()
    if config.seed.sql is not None and config.seed.command is not None:
        yield "seed has both sql and command: keep one"
    for number, check in enumerate(config.checks):
        if (check.sql is None) == (check.command is None):
            yield f"checks.{number} ({check.name}) needs either sql or command"
    for number, rule in enumerate(config.webhooks.rules):
        if rule.source_has_login:  # said here, where the value is not quoted
            yield f"webhooks.rules.{number}.source holds a login: let git's own credential helper keep it"


def _named_environments(config: FaberConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "safety.protected_environments", config.safety.protected_environments
    yield "safety.require_approval_for", config.safety.require_approval_for
    yield "safety.backup_enforcement", tuple(config.safety.backup_enforcement)
    yield "safety.approvals", tuple(config.safety.approvals)
    yield "safety.approvers", tuple(config.safety.approvers)
    yield "faber_integration.environments", tuple(config.faber_integration.environments)
    yield "seed.environments", config.seed.environments or ()
    yield "evaluate.staging", (config.evaluate.staging,) if config.evaluate.staging else ()
    for check in config.checks:
        yield f"checks.{check.name}.environments", check.environments or ()
