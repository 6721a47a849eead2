"""The container image as it is run. Builds nothing: it takes the image that is there, or says that none is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.container import docker, refuse_without_engine

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def image() -> str:
    """The name of an image that an engine here can run."""
    version = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    name = os.environ.get("FABER_DB_IMAGE", f"faber-db:{version[1]}")
    refuse_without_engine()
    if docker("image", "inspect", name).returncode != 0:
        pytest.skip(f"no image {name}: docker build -f deployments/Dockerfile -t {name} .")
    return name


def run(image: str, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in the image as strictly as the compose file does."""
    strict = ("--rm", "--read-only", "--cap-drop=ALL", "--network=none", "--tmpfs=/tmp")
    return docker("run", *strict, *options, image, *command)


def test_the_command_is_what_runs_when_nothing_else_is_said(image: str) -> None:
    done = run(image)
    assert (done.returncode, "Usage: faber-db" in done.stdout) == (0, True), done.stderr


def test_a_user_without_rights_has_git_its_own_python_and_postgresqls_programs(image: str) -> None:
    script = """
import os, shutil, subprocess
from faberdb.embedded import client_program
print(os.getuid(), shutil.which("python"), bool(shutil.which("git")))
for name in ("pg_dump", "pg_restore"):
    print(subprocess.run([client_program(name), "--version"], capture_output=True, text=True, check=True).stdout)
"""
    done = run(image, "python", "-c", script)
    assert done.stdout.startswith("10001 /opt/faber-db/bin/python True\n"), done.stderr
    assert re.search(r"pg_dump \(PostgreSQL\) \d+", done.stdout)
    assert re.search(r"pg_restore \(PostgreSQL\) \d+", done.stdout)


def test_a_secret_file_becomes_a_variable_and_other_files_do_not(image: str, tmp_path: Path) -> None:
    (tmp_path / "PROD_DATABASE_URL").write_text("postgresql://shop:s3cret $(id)'\"@db/shop\n")
    (tmp_path / "prod_database_url").write_text("lower")
    (tmp_path / "README.md").write_text("not a name")
    tmp_path.chmod(0o755)
    script = "import os; print(os.environ['PROD_DATABASE_URL'], 'prod_database_url' in os.environ)"
    done = run(image, "python", "-c", script, options=(f"--volume={tmp_path}:/run/faber-db:ro",))
    assert done.stdout == "postgresql://shop:s3cret $(id)'\"@db/shop False\n", done.stderr


def test_a_secret_that_cannot_be_read_is_refused_with_what_to_do(image: str, tmp_path: Path) -> None:
    secret = tmp_path / "PREFECT_API_AUTH_STRING"
    secret.write_text("faber-db:s3cret")
    secret.chmod(0o400)
    if os.getuid() == 10001:
        pytest.skip("this user is the container's")
    tmp_path.chmod(0o755)
    done = run(image, "true", options=(f"--volume={tmp_path}:/run/secrets:ro",))
    assert done.returncode == 3
    assert "PREFECT_API_AUTH_STRING cannot be read by user 10001" in done.stderr
    assert "chown 10001" in done.stderr
