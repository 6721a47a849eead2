from __future__ import annotations

from pathlib import Path

import pytest

from deployments.stack_state import StackState, remember, remembered


def test_what_was_written_is_remembered(tmp_path: Path) -> None:
    state = StackState(
        owner=7, api="http://127.0.0.1:4200/api", processes=(8, 9), supervised=True, ready=True
    )
    remember(tmp_path / "home", state)
    assert remembered(tmp_path / "home") == state


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b'{"owner": "seven"}', b'{"owner": 7, "of another version": 1}'],
)
def test_a_damaged_file_or_one_of_another_version_says_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "stack.json").write_bytes(text)
    assert remembered(tmp_path) == StackState()


def test_without_a_file_nothing_is_remembered(tmp_path: Path) -> None:
    assert remembered(tmp_path) == StackState()
