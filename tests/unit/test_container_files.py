"""What the container image and the compose file promise, read from the files."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from deployments.stack import BEAT_S

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "deployments" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "deployments" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) - {"postgres"})


def pins(lock: str) -> dict[str, set[str]]:
    """The lines of a lock file, each with the hashes that it accepts."""
    found: dict[str, set[str]] = {}
    pin = ""
    for line in (REPOSITORY / lock).read_text().splitlines():
        if line.startswith(" "):
            found[pin].add(line.strip(" \\"))
        else:
            pin = line.strip(" \\")
            found[pin] = set()
    return found


def name_of(pin: str) -> str:
    return Requirement(pin).name


def requires(name: str) -> set[str]:
    """What a distribution needs on this machine, however far down."""
    seen: set[str] = set()
    left = [name]
    while left:
        for line in metadata.requires(left.pop()) or ():
            needed = Requirement(line)
            if needed.marker and not needed.marker.evaluate({"extra": ""}):
                continue
            key = needed.name.lower().replace("_", "-")
            if key not in seen:
                seen.add(key)
                left.append(key)
    return seen


def test_the_image_installs_what_was_locked_and_tested() -> None:
    all_pins = pins("requirements.lock")
    for pin, hashes in pins("deployments/container/requirements.lock").items():
        assert all_pins.get(pin) == hashes, f"{pin} differs from requirements.lock: make lock"


def test_the_images_lock_has_every_dependency_of_the_product_and_no_tool_of_its_developers() -> None:
    locked = {name_of(pin) for pin in pins("deployments/container/requirements.lock")}
    project = (REPOSITORY / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert block is not None
    wanted = {Requirement(line).name for line in re.findall(r'"([^"]+)"', block[1])}
    assert wanted <= locked
    assert not locked & {"ruff", "mypy", "pytest", "uv"}


def test_the_wheel_is_built_with_a_whole_and_locked_hatchling() -> None:
    named = re.search(r"wanted = /\^\(([^)]*)\)==/", DOCKERFILE)
    assert named is not None
    assert set(named[1].split("|")) == {"hatchling"} | requires("hatchling")


def test_every_download_of_the_image_is_checked_against_a_hash_and_none_names_an_index() -> None:
    steps = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", " "))
    installs = [step for step in steps if re.search(r"/pip .*\b(install|wheel)\b", step)]
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install, install
    for lock in ("requirements.lock", "deployments/container/requirements.lock"):
        assert "://" not in (REPOSITORY / lock).read_text(), lock
    assert not re.search(r"://|index-url|trusted-host", DOCKERFILE)


def test_the_image_runs_as_a_user_without_rights_and_with_its_own_python_first() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["10001:10001"]
    assert last.index("\nUSER ") < last.index("\nENTRYPOINT ")
    assert "PATH=/opt/faber-db/bin:" in last
    assert "FABER_DB_HOME=/var/lib/faber-db" in last


def test_nothing_gets_into_an_image_that_the_build_does_not_need() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    project = (REPOSITORY / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*)\]", project, re.MULTILINE)
    assert packages is not None
    rooms = set(re.findall(r'"(\w+)"', packages[1]))
    assert allowed == rooms | {"LICENSE", "README.md", "pyproject.toml", "requirements.lock"}
    assert "deployments/secrets" in rules[rules.index("!deployments") :]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_the_loopback_interface_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port
    assert "network_mode" not in SERVICES[name]


def test_the_prefect_database_is_on_a_network_that_leads_nowhere_else() -> None:
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"]["internal"] is True


def test_every_secret_is_a_file_outside_the_repository_and_none_is_a_variable() -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert set(secret) == {"file"}, name
        assert secret["file"] == f"${{FABER_DB_SECRETS:-./secrets}}/{name}"
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|AUTH|SECRET|TOKEN|CONNECTION_URL|DATABASE_URL|LEDGER", variable)
            assert not secret or variable.endswith("_FILE"), f"{name}: {variable}"
            assert not re.search(r"://[^/]*@", value), f"{name}: {variable}"
        assert "env_file" not in service
    assert "deployments/secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_a_run_s_link_is_one_that_a_person_can_open() -> None:
    """The API's own address is a name of the compose file's network; the receiver's answers are read outside."""
    published = SERVICES["server"]["ports"][0].rsplit(":", maxsplit=1)[0]
    assert (
        SERVICES["receiver"]["environment"]["PREFECT_UI_URL"] == f"${{FABER_DB_UI_URL:-http://{published}}}"
    )


def test_the_server_asks_for_a_login_and_every_client_has_it() -> None:
    for name in OURS:
        given = {s["target"]: s["source"] for s in SERVICES[name]["secrets"]}
        assert given["PREFECT_API_AUTH_STRING"] == "prefect_api_auth", name
    server = {s["target"]: s["source"] for s in SERVICES["server"]["secrets"]}
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == "prefect_api_auth"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_only_where_state_is_kept(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    for volume in service.get("volumes", []):
        assert volume.endswith(":ro") or volume == "state:/var/lib/faber-db"


def test_each_service_waits_until_what_it_needs_works() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], f"{name} waits for {needed} for ever"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[needed]["restart"] == "no", f"{needed} never completes"


def test_the_worker_serves_the_pool_that_the_deployments_name() -> None:
    deployments = yaml.safe_load((REPOSITORY / "deployments" / "prefect.yaml").read_text())
    command = SERVICES["worker"]["command"]
    assert command[command.index("--pool") + 1] == deployments["definitions"]["work_pools"]["runs"]["name"]


def test_runs_beat_as_often_as_the_automations_expect() -> None:
    assert SERVICES["worker"]["environment"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(BEAT_S)


def test_runs_start_in_a_folder_that_every_container_of_the_image_has() -> None:
    """Prefect has a run start where its deployment was registered; elsewhere it fails before it can say so."""
    assert f"WORKDIR {SERVICES['deploy']['working_dir']}\n" in DOCKERFILE
