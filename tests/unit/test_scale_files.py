"""The work pools and the cluster that docs/how-to/scale.md offers, checked against what Prefect itself ships."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from deployments.stack import BEAT_S

REPOSITORY = Path(__file__).resolve().parents[2]
SCALE = REPOSITORY / "deployments" / "scale"
PACKAGES = {"docker": "prefect-docker", "ecs": "prefect-aws", "kubernetes": "prefect-kubernetes"}
POOLS = sorted(PACKAGES)
OUR_OWN = {
    "docker": set(),
    "ecs": {"environments_secret_arns", "file_system_id"},
    "kubernetes": {"project_ref", "project_url"},
}
# prefect-aws has it; the description that Prefect 3.8.8 carries of it is older.
NEWER = {"ecs": {"prefect_api_auth_string_secret_arn"}}
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((SCALE / "kubernetes.yaml").read_text()))


def template(pool: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCALE / f"{pool}-pool.json").read_text())
    return found


def shipped(pool: str) -> dict[str, Any]:
    """The template that Prefect makes for a new pool of this type."""
    views = resources.files("prefect.server.api") / "collections_data" / "views"
    metadata = json.loads((views / "aggregate-worker-metadata.json").read_text())
    found: dict[str, Any] = metadata[PACKAGES[pool]][pool]["default_base_job_configuration"]
    return found


def placeholders(value: object) -> set[str]:
    return set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(value)))


def manifest(kind: str, name: str) -> dict[str, Any]:
    return next(m for m in MANIFESTS if (m["kind"], m["metadata"]["name"]) == (kind, name))


def pods() -> list[dict[str, Any]]:
    found = [m["spec"]["template"]["spec"] for m in MANIFESTS if m["kind"] in {"Deployment", "Job"}]
    return [*found, template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]]


@pytest.mark.parametrize("pool", POOLS)
def test_every_variable_is_used_and_every_placeholder_has_one(pool: str) -> None:
    ours = template(pool)
    assert placeholders(ours["job_configuration"]) == set(ours["variables"]["properties"])


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_of_this_prefect_knows_every_variable_and_setting(pool: str) -> None:
    ours, theirs = template(pool), shipped(pool)
    newer = NEWER.get(pool, set())
    unknown = set(ours["variables"]["properties"]) - set(theirs["variables"]["properties"])
    assert unknown == OUR_OWN[pool] | newer
    assert set(ours["job_configuration"]) - set(theirs["job_configuration"]) == newer


@pytest.mark.parametrize("pool", POOLS)
def test_each_default_is_what_prefects_own_schema_takes(pool: str) -> None:
    known = shipped(pool)["variables"]
    for name, variable in template(pool)["variables"]["properties"].items():
        Draft202012Validator.check_schema(variable)
        if "default" not in variable:
            continue
        Draft202012Validator(variable).validate(variable["default"])
        if (
            name in known["properties"] and name != "env"
        ):  # env: null takes a variable away, which Prefect does
            schema = known["properties"][name] | {"definitions": known.get("definitions", {})}
            Draft202012Validator(schema).validate(variable["default"])


@pytest.mark.parametrize("pool", POOLS)
def test_the_deployments_settings_are_settings_of_the_pool(pool: str) -> None:
    deployments = yaml.safe_load((REPOSITORY / "deployments" / "prefect.yaml").read_text())
    given = deployments["definitions"]["work_pools"]["runs"]["job_variables"]
    variables = template(pool)["variables"]["properties"]
    for name, value in given.items():
        Draft202012Validator(variables[name]).validate(value)


def test_a_docker_run_gets_its_login_from_a_file_and_not_from_the_worker() -> None:
    variables = template("docker")["variables"]["properties"]
    assert variables["env"]["default"]["PREFECT_API_AUTH_STRING"] is None
    assert any(
        v.endswith(":/run/secrets/PREFECT_API_AUTH_STRING:ro") for v in variables["volumes"]["default"]
    )


def test_a_kubernetes_run_gets_its_login_from_the_secret_and_not_from_the_worker() -> None:
    worker = manifest("Deployment", "faber-db-worker")["spec"]["template"]["spec"]["containers"][0]
    env = {e["name"]: e["value"] for e in worker["env"]}
    settings = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    assert (env[f"{settings}_NAME"], env[f"{settings}_KEY"]) == ("prefect-client", "PREFECT_API_AUTH_STRING")
    assert not [m for m in MANIFESTS if m["kind"] == "Secret"]


def test_no_run_carries_rights_in_the_cluster() -> None:
    bound = {s["name"] for m in MANIFESTS if m["kind"] == "RoleBinding" for s in m["subjects"]}
    assert bound == {"faber-db-worker"}
    run = template("kubernetes")
    assert run["variables"]["properties"]["service_account_name"]["default"] == "faber-db-run"
    assert manifest("ServiceAccount", "faber-db-run")["automountServiceAccountToken"] is False
    assert not [m for m in MANIFESTS if m["kind"] == "ClusterRole"]


def test_every_pod_passes_the_restricted_standard_that_the_namespace_enforces() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_what_the_pods_mount_and_read_is_there() -> None:
    there = {(m["kind"], m["metadata"]["name"]) for m in MANIFESTS}
    secrets = {"prefect-server", "prefect-client", "faber-db-environments"}
    for pod in pods():
        for volume in pod.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
            if "secret" in volume:
                assert volume["secret"]["secretName"] in secrets
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod["containers"] + pod.get("initContainers", []):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    assert ("ConfigMap", source["configMapRef"]["name"]) in there
                else:
                    assert source["secretRef"]["name"] in secrets


def test_selectors_find_their_pods() -> None:
    labels = [m["spec"]["template"]["metadata"]["labels"] for m in MANIFESTS if m["kind"] == "Deployment"]
    for one in MANIFESTS:
        selector = one.get("spec", {}).get("selector", {})
        wanted = selector.get("matchLabels", selector)
        assert not wanted or wanted in labels, one["metadata"]["name"]


def test_several_servers_share_everything_through_redis_and_run_no_services_of_their_own() -> None:
    server = manifest("Deployment", "prefect-server")["spec"]
    assert server["replicas"] > 1
    assert "--no-services" in server["template"]["spec"]["containers"][0]["args"]
    settings = manifest("ConfigMap", "prefect-server")["data"]
    shared = {value for value in settings.values() if value.startswith("prefect_redis.")}
    assert shared == {"prefect_redis.messaging", "prefect_redis.ordering", "prefect_redis.lease_storage"}
    assert settings["PREFECT_API_DATABASE_MIGRATE_ON_START"] == "false", "several would migrate at once"


def test_server_worker_and_product_are_the_same_prefect_and_the_same_faber_db() -> None:
    lock = (REPOSITORY / "deployments" / "container" / "requirements.lock").read_text()
    prefect = re.search(r"^prefect==(\S+)", lock, re.MULTILINE)
    product = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert prefect is not None
    assert product is not None
    text = (SCALE / "kubernetes.yaml").read_text() + (REPOSITORY / "deployments" / "compose.yaml").read_text()
    text += "".join(template(pool)["variables"]["properties"]["image"]["default"] for pool in POOLS)
    assert set(re.findall(r"prefecthq/prefect:([\d.]+)-", text)) == {prefect[1]}
    assert set(re.findall(r"faber-db:([\d.]+\d)", text)) == {product[1]}


def test_the_cluster_serves_the_pool_and_the_beat_of_the_deployments() -> None:
    deployments = yaml.safe_load((REPOSITORY / "deployments" / "prefect.yaml").read_text())
    worker = manifest("Deployment", "faber-db-worker")["spec"]["template"]["spec"]["containers"][0]
    pool = deployments["definitions"]["work_pools"]["runs"]["name"]
    assert worker["args"][worker["args"].index("--pool") + 1] == pool
    assert {"name": "PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "value": str(BEAT_S)} in worker["env"]
