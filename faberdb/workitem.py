"""What somebody asked for, and whether it sounds like database work."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from faberdb.config.phases import DetectionPatterns
from faberdb.errors import Refused

_TITLE_WEIGHT, _LABEL_WEIGHT, _TEXT_WEIGHT = 0.6, 0.7, 0.3
_ENOUGH = 0.5


class WorkItem(Struct, frozen=True, kw_only=True):
    """A request, as a tracker or a file tells it."""

    title: str
    id: str = ""
    labels: tuple[str, ...] = ()
    description: str = ""
    requester: str = ""

    @property
    def name(self) -> str:
        """Id and title, as plans and reports show it."""
        return f"{self.id}: {self.title}" if self.id else self.title


class Detection(Struct, frozen=True, kw_only=True):
    """Whether there is database work, and how sure that is."""

    database_work: bool
    confidence: float  # of the verdict, 0 to 1
    reasons: tuple[str, ...]


def read_work_item(path: Path) -> WorkItem:
    """Read a work item from Markdown (`# ID: Title`, `Labels:`, `Requested by:`), TOML or JSON.

    Raises:
        Refused: there is no such file, or it is no work item.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            return _from_markdown(text, path)
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return _from_table(raw)
    except FileNotFoundError:
        raise Refused(f"There is no work item {path}.", next_step="faber-db run --work-item FILE") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"{path} is not a work item.",
            why=f"{error}; it needs a title, and may have id, labels, description and requester",
        ) from None


def _from_table(raw: dict[str, Any]) -> WorkItem:
    return WorkItem(
        id=str(raw.get("id", "")),
        title=str(raw["title"]),
        labels=tuple(str(label) for label in raw.get("labels", ())),
        description=str(raw.get("description", "")),
        requester=str(raw.get("requester", "")),
    )


def _from_markdown(text: str, path: Path) -> WorkItem:
    lines = text.splitlines()
    heading = next((line for line in lines if line.startswith("# ")), None)
    if heading is None:
        raise ValueError("it has no heading")
    match = re.match(r"# (?:([A-Za-z]+-?#?\d+|#\d+):\s*)?(.+)", heading)
    assert match is not None
    fields = {
        key.lower(): value.strip()
        for key, value in (
            line.split(":", 1) for line in lines if re.match(r"(?i)(labels|requested by):", line)
        )
    }
    rest = [x for x in lines if x != heading and not re.match(r"(?i)(labels|requested by):", x)]
    return WorkItem(
        id=match.group(1) or "",
        title=match.group(2).strip(),
        labels=tuple(x.strip() for x in fields.get("labels", "").split(",") if x.strip()),
        description="\n".join(rest).strip(),
        requester=fields.get("requested by", ""),
    )


def title_of(root: Path, work_item: str) -> str:
    """The id and title of the work item at a path relative to the project; "" where none is given."""
    return read_work_item(root / work_item).name if work_item else ""


def detect(item: WorkItem, patterns: DetectionPatterns, *, new_revisions: int) -> Detection:
    """Decide whether a request concerns the database.

    Args:
        item: the request.
        patterns: the configured words.
        new_revisions: revisions that some environment does not have yet; one is proof.
    """
    if new_revisions:
        noun = "revision" if new_revisions == 1 else "revisions"
        return Detection(database_work=True, confidence=1.0, reasons=(f"{new_revisions} new {noun}",))
    found = list(_signs(item, patterns))
    doubt = 1.0
    for weight, _ in found:
        doubt *= 1 - weight
    likely = 1 - doubt
    work = likely >= _ENOUGH
    return Detection(
        database_work=work,
        confidence=round(likely if work else 1 - likely, 2),
        reasons=tuple(reason for _, reason in found),
    )


def _signs(item: WorkItem, patterns: DetectionPatterns) -> Iterator[tuple[float, str]]:
    for word in _present(patterns.title_keywords, item.title):
        yield _TITLE_WEIGHT, f"its title says {word!r}"
    labels = {label.casefold() for label in item.labels}
    for label in patterns.labels:
        if label.casefold() in labels:
            yield _LABEL_WEIGHT, f"it is labelled {label!r}"
    for word in _present(patterns.description_keywords, item.description):
        yield _TEXT_WEIGHT, f"its description says {word!r}"


def _present(words: Sequence[str], text: str) -> Iterator[str]:
    for word in words:
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
            yield word
