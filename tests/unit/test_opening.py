from __future__ import annotations

from pathlib import Path

import pytest

from cli.opening import given_to
from faberdb.errors import ServerUnreachable
from faberdb.given import NOTHING_GIVEN
from faberdb.project import load_project


@pytest.fixture(autouse=True)
def no_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("FABER_DB_HOME", str(tmp_path / "home"))


def test_where_no_prefect_is_known_no_block_speaks(tmp_path: Path) -> None:
    (tmp_path / "faber-db.toml").write_text('[database]\nhosting = "postgres"\n[environments.live]\n')
    project = load_project(tmp_path)
    assert given_to(project, project.environments) == {"live": NOTHING_GIVEN}


def test_a_named_block_without_a_prefect_is_not_replaced_by_the_variable(tmp_path: Path) -> None:
    (tmp_path / "faber-db.toml").write_text(
        '[database]\nhosting = "postgres"\n[environments.live]\nconnection_block = "vault"\n'
    )
    project = load_project(tmp_path)
    with pytest.raises(ServerUnreachable, match="names the block 'vault', and no Prefect is known"):
        given_to(project, project.environments)
