"""What is remembered of the stack that runs here: who owns it, where its API is, which processes belong to it.

`home/stack.json` keeps it, so that another command finds the stack, or ends what a killed one left. Every command
that may find a Prefect reads it, so nothing heavy is imported here. Refuses to know how processes start and end
(`deployments.processes`).
"""

from __future__ import annotations

from pathlib import Path

from msgspec import MsgspecError, Struct, json


class StackState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `home/stack.json` keeps."""

    owner: int = 0  # the process that started the stack and ends it
    api: str = ""
    processes: tuple[int, ...] = ()
    supervised: bool = False  # the owner keeps it until it is told to end
    ready: bool = False
    receiver: str = ""  # the webhook receiver's URL, "" where there is none


def remembered(home: Path) -> StackState:
    """What the file says; of nothing when there is none or a version of another shape wrote it."""
    try:
        return json.decode((home / "stack.json").read_bytes(), type=StackState)
    except (FileNotFoundError, MsgspecError):
        return StackState()


def seems_up(home: Path) -> bool:
    """Whether the file names a stack that was ready, and its owner lives."""
    state = remembered(home)
    return state.ready and is_ours(state.owner)


def remember(home: Path, state: StackState) -> None:
    """Write the file, whole or not at all."""
    home.mkdir(parents=True, exist_ok=True)
    half = home / "stack.json.new"
    half.write_bytes(json.encode(state))
    half.replace(home / "stack.json")


def is_ours(pid: int) -> bool:
    """Whether the process is one of ours; a reused process id is told by its command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(word in command for word in (b"prefect", b"faber-db", b"cli.main", b"deployments.webhooks"))
