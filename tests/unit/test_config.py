from __future__ import annotations

import json
from pathlib import Path

import pytest

from faberdb.config.coverage import WITHOUT_EFFECT, all_keys, keys_without_effect, reference_page
from faberdb.config.load import find_config, load_config, root_of
from faberdb.config.model import FaberConfig, Hosting
from faberdb.config.safety import BackupNeed
from faberdb.config.template import render, write_config
from faberdb.errors import ConfigInvalid, Refused
from faberdb.project import load_project

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"

PLUGIN = {
    "$schema": "config.schema.json",
    "schema_version": "1.0",
    "database": {"provider": "postgresql", "hosting": "local", "migration_tool": "prisma"},
    "environments": {
        "dev": {
            "connection_string_env": "DEV_DATABASE_URL",
            "auto_migrate": True,
            "backup_before_migrate": False,
            "require_approval": False,
        },
        "production": {
            "connection_string_env": "PROD_DATABASE_URL",
            "auto_migrate": False,
            "backup_before_migrate": True,
            "require_approval": True,
        },
    },
    "migrations": {"directory": "prisma/migrations", "table": "_prisma_migrations", "timeout_seconds": 300},
    "safety": {
        "protected_environments": ["production"],
        "require_approval_for": ["production"],
        "max_auto_rollback_attempts": 1,
        "health_check_before_deploy": True,
        "validate_destructive_operations": True,
        "backup_enforcement": {"production": "required", "dev": "optional"},
        "destructive_operations": {
            "drop_table": {
                "allowed": True,
                "approval": "enhanced",
                "require_backup": True,
                "row_threshold": 0,
                "block_reason": "",
            },
            "drop_database": {"allowed": False, "block_reason": "Never in a migration"},
        },
        "approval_timeouts": {"standard": 300, "enhanced": 600},
    },
    "backup": {"provider": "aws-s3", "retention_days": 30, "backup_before_destructive_ops": True},
    "integration": {"cloud_plugin": "cloud", "work_plugin": "work", "logs_plugin": "logs"},
    "faber_integration": {
        "enabled": True,
        "auto_detect_database_work": True,
        "detection_patterns": {
            "title_keywords": ["schema"],
            "labels": ["database"],
            "description_keywords": ["table"],
        },
        "auto_generate_migrations": True,
        "auto_deploy_dev": True,
        "environments": {
            "production": {
                "auto_migrate": False,
                "require_approval": True,
                "health_check_before": True,
                "health_check_after": True,
                "backup_required": True,
                "validate_safety": True,
            }
        },
        "phase_hooks": {"frame": {"pre": "x"}},
        "coordination": {
            "block_on_health_check_failure": True,
            "retry_failed_health_checks": True,
            "max_retry_attempts": 3,
            "log_coordination_activities": True,
        },
    },
}


def write(folder: Path, text: str) -> Path:
    path = folder / "faber-db.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_a_whole_configuration(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, ""))
    assert list(config.environments) == ["dev", "staging", "production"]
    assert config.database.hosting is Hosting.EMBEDDED


def test_the_plugins_file_loads_unchanged(tmp_path: Path) -> None:
    path = tmp_path / ".fractary" / "plugins" / "faber-db" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(PLUGIN))
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    assert find_config(below) == path
    assert root_of(path) == tmp_path
    project = load_project(below)
    assert project.root == tmp_path
    assert project.environment("dev").hosting is Hosting.POSTGRES
    production = project.environment("production").policy
    assert (production.protected, production.approval, production.backup) == (True, True, BackupNeed.REQUIRED)
    assert production.approval_timeout_s("enhanced") == 600


def test_keys_of_the_plugin_without_effect_are_named_with_the_reason() -> None:
    config = FaberConfig.model_validate({k: v for k, v in PLUGIN.items() if k != "$schema"})
    idle = dict(keys_without_effect(config))
    assert set(idle) == {*WITHOUT_EFFECT, "backup.provider"}


def test_keys_said_to_have_no_effect_exist() -> None:
    known = {path for path, _, _ in all_keys()}
    assert set(WITHOUT_EFFECT) <= known


def test_every_key_has_a_meaning() -> None:
    assert [path for path, _, meaning in all_keys() if not meaning] == []


def test_the_reference_page_is_what_the_model_says() -> None:
    assert (DOCS / "configuration.md").read_text() == reference_page()


def test_the_published_schema_is_what_the_model_says() -> None:
    assert json.loads((DOCS / "faber-db.schema.json").read_text()) == FaberConfig.model_json_schema()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[databse]\n", "unknown key databse: did you mean 'database'"),
        ("[database]\nhostin = 'embedded'", "unknown key database.hostin: did you mean 'hosting'"),
        ("[environments.dev]\nrequire_aproval = true", "did you mean 'require_approval'"),
        ("[database]\nprovider = 'mysql'", "database.provider"),
        ("[migrations]\ntimeout_seconds = 0", "migrations.timeout_seconds"),
        (
            "[safety]\nprotected_environments = ['prodution']",
            "'prodution', which is no environment: did you mean",
        ),
        ("[safety.approvals]\nproduction = 0", "safety.approvals.production"),
        ("[safety.approvers]\nproduction = [' ']", "safety.approvers.production.0"),
        ("[safety.approvers]\nprodution = ['Morgan']", "'prodution', which is no environment"),
        (
            "[safety.approvals]\nproduction = 2\n[safety.approvers]\nproduction = ['Morgan', 'morgan']",
            "safety.approvals wants 2 of production, and safety.approvers names 1",
        ),
        ("[seed]\nsql = 'a'\ncommand = ['b']", "seed has both sql and command"),
        ("[[checks]]\nname = 'x'", "needs either sql or command"),
        ("[environments.dev]\nconnection_block = 'x'", "is embedded and has a connection"),
        ("[ledger]\nconnection_string_env = 'A'\n[environments.dev]\nconnection_string_env = 'A'", "its own"),
        ("[health]\nlatency_warn_ms = 900", "is above"),
        ("environments = {}", "environments"),
        ("[project]\nname = 'Bad Name'", "project.name"),
        ("not toml", "not readable TOML"),
    ],
)
def test_a_bad_file_gets_one_error_that_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load_config(write(tmp_path, text))
    assert named in str(refused.value)


def test_all_bad_keys_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="2 bad entries"):
        load_config(write(tmp_path, "[databse]\n[safty]\n"))


def test_no_configuration_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FABER_DB_PROJECT", raising=False)
    with pytest.raises(ConfigInvalid, match="faber-db init"):
        find_config()


def test_a_written_template_loads_and_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    text = render(
        name="shop",
        hosting=Hosting.POSTGRES,
        tool="prisma",
        environments=["dev", "live"],
        protected=["live"],
    )
    path = write_config(tmp_path, text, force=False)
    project = load_project(path)
    assert [e.name for e in project.environments] == ["dev", "live"]
    assert project.environment("live").policy.protected
    assert project.environment("dev").variable == "DEV_DATABASE_URL"
    with pytest.raises(Refused, match="there already"):
        write_config(tmp_path, "", force=False)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("url = 'backups/shop'", "backup.s3.url: must be s3://BUCKET"),
        ("url = 's3://acme-backups'\nsse = 'AES-256'", "backup.s3.sse"),
        ("url = 's3://acme-backups'\nkms_key_id = 'k'", 'kms_key_id has no effect without sse = "aws:kms"'),
        ("url = 's3://acme-backups'\nendpoint_url = 'minio:9000'", "must be http://HOST:PORT"),
        ("url = 's3://acme-backups'\npart_mib = 1", "backup.s3.part_mib"),
        (
            "url = 's3://acme-backups'\nsecret_access_key = 'hunter2'",
            "unknown key backup.s3.secret_access_key",
        ),
        ("region = 'eu-central-1'", "backup.s3.url"),
    ],
)
def test_a_bucket_that_cannot_work_is_refused_when_the_file_is_read(
    tmp_path: Path, keys: str, said: str
) -> None:
    (tmp_path / "faber-db.toml").write_text(f"[backup.s3]\n{keys}\n")
    with pytest.raises(ConfigInvalid) as refused:
        load_config(tmp_path / "faber-db.toml")
    assert said in refused.value.why


def test_a_login_in_an_address_is_refused_without_saying_it(tmp_path: Path) -> None:
    (tmp_path / "faber-db.toml").write_text(
        "[backup.s3]\nurl = 's3://acme-backups'\nendpoint_url = 'https://key:hunter2@minio:9000'\n"
    )
    with pytest.raises(ConfigInvalid, match="holds a login") as refused:
        load_config(tmp_path / "faber-db.toml")
    assert "hunter2" not in str(refused.value)


def test_snapshots_have_one_place(tmp_path: Path) -> None:
    (tmp_path / "faber-db.toml").write_text(
        "[backup]\ndirectory = '/srv/snapshots'\n[backup.s3]\nurl = 's3://acme-backups'\n"
    )
    with pytest.raises(ConfigInvalid, match="both directory and s3"):
        load_config(tmp_path / "faber-db.toml")
