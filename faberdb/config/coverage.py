"""Which keys of the configuration have no effect here, and why; and the reference page of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from faberdb.config.model import FaberConfig

WITHOUT_EFFECT: Final[dict[str, str]] = {
    "integration.cloud_plugin": "faber-db talks to servers by the environment's hosting; it calls no plugin",
    "integration.work_plugin": "work items are given by file or parameter; it calls no plugin",
    "integration.logs_plugin": "what happened is in the ledger and in Prefect; it calls no plugin",
    "faber_integration.auto_generate_migrations": "migrations are written by you or by the tool's own command",
    "faber_integration.phase_hooks": "the phases are Prefect flows; use Prefect's automations instead",
    "faber_integration.coordination.log_coordination_activities": "every step is always in the ledger",
    "faber_integration.coordination.retry_failed_health_checks": "tasks are retried by their declared policy",
    "faber_integration.coordination.max_retry_attempts": "tasks are retried by their declared policy",
}
"""Keys that load, so that a file of the FABER-DB plugin needs no change, and change nothing here."""


def keys_without_effect(config: FaberConfig) -> list[tuple[str, str]]:
    """The keys that this configuration sets and that change nothing here, each with the reason."""
    found = [(key, WITHOUT_EFFECT[key]) for key in keys_set(config) if key in WITHOUT_EFFECT]
    if config.backup.provider != "local" and config.backup.s3 is None:
        found.append(("backup.provider", "snapshots are kept locally; a bucket is named by [backup.s3]"))
    return found


def keys_set(model: BaseModel, prefix: str = "") -> Iterator[str]:
    """Dotted paths of the keys that were written in the file."""
    for name in model.model_fields_set:
        value = getattr(model, name)
        yield f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from keys_set(value, f"{prefix}{name}.")


def all_keys(
    model: type[BaseModel] = FaberConfig, prefix: str = "", defaults: BaseModel | None = None
) -> Iterator[tuple[str, str, str]]:
    """Every key's dotted path, default and meaning, in the order of the model."""
    for name, field in model.model_fields.items():
        section, many = _section(field.annotation)
        path = f"{prefix}{name}"
        default = getattr(defaults, name) if defaults is not None else field.default
        if section is None:
            yield path, _default(default), field.description or ""
            continue
        inside = f"{path}.<name>" if many == "table" else f"{path}[]" if many == "list" else path
        yield from all_keys(section, f"{inside}.", default if isinstance(default, section) else None)


def _section(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for argument in get_args(annotation):
        section, _ = _section(argument)
        if section is not None:
            written = str(annotation)
            return section, "table" if "dict" in written else "list" if "tuple" in written else ""
    return None, ""


def _default(value: Any) -> str:
    if value is PydanticUndefined or isinstance(value, dict):
        return ""
    if isinstance(value, str):
        return f'"{value}"' if value else ""
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    if value is None:
        return ""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def reference_page() -> str:
    """The Markdown of `docs/reference/configuration.md`."""
    lines = [
        "# Reference: configuration",
        "",
        "`faber-db.toml` in the application's repository, or the FABER-DB plugin's",
        "`.fractary/plugins/faber-db/config.json`, unchanged. Unknown keys are refused. Editors check and complete",
        "it with [the JSON Schema](faber-db.schema.json). `faber-db config check` says what is wrong.",
        "",
        "Secrets are never in it: it names the variables that hold them. Variables may stand in `.env` beside it.",
        "",
        "Where two keys speak of the same thing for one environment, the stricter holds. A protected environment",
        "always asks for approval, always has its health looked at and always takes a snapshot first.",
        "",
        "| key | default | meaning |",
        "| --- | --- | --- |",
    ]
    for path, default, meaning in all_keys():
        why = WITHOUT_EFFECT.get(path)
        text = f"{meaning} **No effect here:** {why}." if why else meaning
        lines.append(
            f"| `{path}` | {f'`{default}`' if default else ''} | {text.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines) + "\n"
