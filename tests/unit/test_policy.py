from __future__ import annotations

from typing import Any

import pytest

from faberdb.config.model import FaberConfig
from faberdb.config.safety import BackupNeed
from faberdb.errors import ConfigInvalid, Refused
from faberdb.policy import NO_TIGHTENING, Autonomy, Tightening, asks, policy_for, refuse_skips, tightened


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


def test_one_yes_from_anybody_is_enough_when_nothing_is_said() -> None:
    found = policy()
    assert (found.approvals, found.approvers) == (1, ())


def test_the_configuration_says_how_many_must_say_yes_and_who_may() -> None:
    safety = {"approvals": {"staging": 2}, "approvers": {"staging": ["Morgan ", "Robin"]}}
    found = policy("staging", safety=safety)
    assert (found.approvals, found.approvers) == (2, ("Morgan", "Robin"))
    assert asks(found, Autonomy.AUTONOMOUS)
    assert not asks(policy("dev", safety=safety), Autonomy.GUARDED)


def test_tightening_by_nothing_changes_nothing() -> None:
    assert tightened(policy("dev"), NO_TIGHTENING) == policy("dev")


def test_every_tightening_holds_where_the_configuration_asks_for_nothing() -> None:
    before = policy("dev", safety={"health_check_before_deploy": False})
    found = tightened(
        before,
        Tightening(approvals=2, approvers=("A", "B"), approval_timeout_s=60, snapshot=True, health=True),
    )
    assert asks(found, Autonomy.AUTONOMOUS)
    assert (found.approvals, found.approvers, found.backup) == (2, ("A", "B"), BackupNeed.REQUIRED)
    assert set(found.approval_timeouts.values()) == {60}
    assert (before.health_before, found.health_before, found.health_after) == (False, True, True)
    with pytest.raises(Refused, match="--skip-health-check"):
        refuse_skips(found, "dev", backup=False, health=True)


def test_tightening_never_weakens() -> None:
    before = policy(safety={"approvals": {"production": 3}, "approval_timeouts": {"standard": 60}})
    found = tightened(before, Tightening(approvals=1, approval_timeout_s=120))
    assert found.approvals == 3
    assert (found.approval_timeout_s("standard"), found.approval_timeout_s("enhanced")) == (60, 120)
    assert found.insists
    assert found.backup is BackupNeed.REQUIRED


def test_who_may_say_yes_is_who_both_name() -> None:
    before = policy(safety={"approvers": {"production": ["Morgan", "Robin"]}})
    assert tightened(before, Tightening(approvers=("robin", "Kim"))).approvers == ("Robin",)
    assert tightened(before, Tightening(snapshot=True)).approvers == ("Morgan", "Robin")


@pytest.mark.parametrize(
    "more", [Tightening(approvers=("Kim",)), Tightening(approvals=2, approvers=("Robin",))]
)
def test_a_tightening_that_leaves_too_few_is_refused_and_does_not_let_everybody_in(more: Tightening) -> None:
    with pytest.raises(ConfigInvalid, match="must say yes here, and only"):
        tightened(policy(safety={"approvers": {"production": ["Morgan", "Robin"]}}), more)
