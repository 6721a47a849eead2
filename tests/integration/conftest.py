"""A small project of a test's own, and its production, opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faberdb.dsn import Dsn
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet, make_shoplet


@pytest.fixture
def shoplet(server: Dsn, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shoplet]:
    """Two revisions and their databases; a file that begins from more builds on it."""
    monkeypatch.setenv("FABER_DB_HOME", str(home))
    made = make_shoplet(tmp_path / "shoplet")
    yield made
    made.forget()


@pytest.fixture
def target(shoplet: Shoplet) -> Iterator[Target]:
    """Its production."""
    with open_target(shoplet.root, "production") as opened:
        yield opened
