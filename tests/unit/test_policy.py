from __future__ import annotations

from typing import Any

import pytest

from faberdb.config.model import FaberConfig
from faberdb.config.safety import BackupNeed
from faberdb.errors import Refused
from faberdb.policy import Autonomy, asks, policy_for, refuse_skips


def policy(environment: str = "production", **sections: Any):  # type: ignore[no-untyped-def]
    return policy_for(FaberConfig.model_validate(sections), environment)


def test_production_is_protected_when_nothing_is_said() -> None:
    found = policy()
    assert found.protected
    assert found.approval
    assert found.backup is BackupNeed.REQUIRED
    assert found.health_before
    assert found.health_after
    assert found.validate_destructive


def test_dev_asks_nobody_when_nothing_is_said() -> None:
    found = policy("dev")
    assert not found.approval
    assert found.backup is BackupNeed.OPTIONAL


def test_staging_is_recommended_a_snapshot() -> None:
    assert policy("staging").backup is BackupNeed.RECOMMENDED


@pytest.mark.parametrize(
    "sections",
    [
        {"environments": {"production": {"require_approval": False, "backup_before_migrate": False}}},
        {"safety": {"backup_enforcement": {"production": "optional"}, "health_check_before_deploy": False}},
        {"safety": {"validate_destructive_operations": False}},
        {"faber_integration": {"environments": {"production": {"health_check_after": False}}}},
    ],
)
def test_nothing_weakens_a_protected_environment(sections: dict[str, Any]) -> None:
    found = policy(**sections)
    assert found.approval
    assert found.backup is BackupNeed.REQUIRED
    assert found.health_before
    assert found.health_after
    assert found.validate_destructive


@pytest.mark.parametrize(
    "sections",
    [
        {"environments": {"dev": {"require_approval": True}}},
        {"environments": {"dev": {"auto_migrate": False}}},
        {"safety": {"require_approval_for": ["dev"]}},
        {"faber_integration": {"environments": {"dev": {"require_approval": True}}}},
        {"faber_integration": {"auto_deploy_dev": False}},
    ],
)
def test_any_key_that_asks_for_a_person_is_enough(sections: dict[str, Any]) -> None:
    assert policy("dev", **sections).approval


def test_the_stricter_of_two_sayings_about_snapshots_holds() -> None:
    found = policy(
        "dev",
        environments={"dev": {"backup_before_migrate": False}},
        safety={"backup_enforcement": {"dev": "required"}, "protected_environments": []},
    )
    assert found.backup is BackupNeed.REQUIRED


@pytest.mark.parametrize(
    ("autonomy", "environment", "asked"),
    [
        (Autonomy.ASSIST, "dev", True),
        (Autonomy.GUARDED, "dev", False),
        (Autonomy.GUARDED, "production", True),
        (Autonomy.AUTONOMOUS, "production", True),
    ],
)
def test_autonomy_decides_who_is_asked(autonomy: Autonomy, environment: str, asked: bool) -> None:
    assert asks(policy(environment), autonomy) is asked


def test_autonomous_waives_what_is_only_preferred() -> None:
    preferred = policy(
        "staging", environments={"staging": {"require_approval": True}}, safety={"protected_environments": []}
    )
    assert asks(preferred, Autonomy.GUARDED)
    assert not asks(preferred, Autonomy.AUTONOMOUS)


def test_skipping_what_the_policy_requires_is_refused() -> None:
    with pytest.raises(Refused, match="--skip-backup"):
        refuse_skips(policy(), "production", backup=True, health=False)
    with pytest.raises(Refused, match="--skip-health-check"):
        refuse_skips(policy(), "production", backup=False, health=True)
    refuse_skips(policy("dev"), "dev", backup=True, health=True)


def test_databases_and_schemas_are_not_dropped() -> None:
    rules = policy().destructive
    assert not rules["drop_database"].allowed
    assert not rules["drop_schema"].allowed
    assert rules["drop_table"].approval == "enhanced"
