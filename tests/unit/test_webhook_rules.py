from __future__ import annotations

from pathlib import Path

import pytest

from deployments.webhooks.events import Event, NotAllowed
from deployments.webhooks.rules import Decision, decide, default_path
from faberdb.errors import ConfigInvalid
from faberdb.project import Project, load_project
from tests.webhooks.deliveries import COMMIT, MIGRATION


def project_with(folder: Path, text: str) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faber-db.toml").write_text(text)
    return load_project(folder)


def event(name: str = "push", **facts: object) -> Event:
    given = {
        "repository": "acme/shop",
        "branch": "main",
        "commit": COMMIT,
        "person": "priya",
        "paths": (MIGRATION,),
    }
    return Event(name=name, **{**given, **facts})  # type: ignore[arg-type]


SOURCE = "https://example.com/acme/shop.git"
WITHOUT_SOURCE = '[[webhooks.rules]]\nrepository = "acme/shop"\n'
RULE = f'{WITHOUT_SOURCE}source = "{SOURCE}"\n'


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return project_with(tmp_path, RULE)


def test_a_push_that_touches_a_migration_starts_the_pipeline_at_its_commit(shop: Project) -> None:
    assert decide(shop, event()) == Decision(
        deployment="pipeline/faber-db",
        parameters={"project": SOURCE, "ref": COMMIT, "requester": "priya"},
    )


def test_a_push_that_touches_nothing_of_ours_starts_nothing(shop: Project) -> None:
    decision = decide(shop, event(paths=("README.md", "prisma/schema.prisma")))
    assert (decision.parameters, decision.reason) == (None, "no path of a rule was touched")


def test_a_push_whose_paths_are_not_known_is_run_rather_than_skipped(shop: Project) -> None:
    assert decide(shop, event(paths=None)).parameters is not None


@pytest.mark.parametrize(
    "facts",
    [{"repository": "eve/shop"}, {"branch": "feature"}, {"branch": "main2"}, {"name": "pull_request"}],
)
def test_what_no_rule_is_for_is_not_allowed(shop: Project, facts: dict[str, str]) -> None:
    with pytest.raises(NotAllowed):
        decide(shop, event(**facts))


def test_what_is_idle_is_said_to_whom_a_rule_is_for_only(shop: Project) -> None:
    assert (
        decide(shop, event(branch="gone", idle="the branch was deleted")).reason == "the branch was deleted"
    )
    with pytest.raises(NotAllowed):
        decide(shop, event(repository="eve/shop", idle="the branch was deleted"))


def test_globs_choose_branches_and_paths(tmp_path: Path) -> None:
    text = RULE + 'branches = ["release/*"]\npaths = ["db/*.sql"]\n'
    shop = project_with(tmp_path, text)
    assert decide(shop, event(branch="release/1/2", paths=("db/x/y.sql",))).parameters
    assert decide(shop, event(branch="release/1", paths=("db/x.txt",))).parameters is None
    anything = project_with(tmp_path / "any", RULE + "paths = []\n")
    assert decide(anything, event(paths=())).parameters


def test_a_pull_request_only_plans_whatever_its_rule_says(tmp_path: Path) -> None:
    text = RULE + 'event = "pull_request"\nparameters = { autonomy = "autonomous", work_item = "a.md" }\n'
    decision = decide(project_with(tmp_path, text), event("pull_request", paths=None))
    assert decision.parameters is not None
    assert (decision.parameters["autonomy"], decision.parameters["work_item"]) == ("dry-run", "a.md")


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    other = WITHOUT_SOURCE + 'deployment = "release/faber-db"\nsource = "https://git.example/shop.git"\n'
    other += 'paths = ["x/*"]\n'
    shop = project_with(tmp_path, other + RULE)
    assert decide(shop, event()).deployment == "pipeline/faber-db", "the first does not fit"
    first = decide(shop, event(paths=("x/a", MIGRATION)))
    assert first.deployment == "release/faber-db"
    assert (first.parameters or {})["project"] == "https://git.example/shop.git"


def test_paths_begin_at_the_root_of_the_repository_around_the_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inside = project_with(tmp_path / "apps" / "shop", RULE)
    assert default_path(inside) == "apps/shop/prisma/migrations/**"
    assert decide(inside, event(paths=(f"apps/shop/{MIGRATION}",))).parameters
    assert decide(inside, event(paths=(MIGRATION,))).parameters is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('source = "https://robot:hunter2@git.example/shop.git"', "source holds a login"),
        ('source = "https://hunter2@git.example/shop.git"', "source holds a login"),
        ("", "a push needs `source`"),
        ('source = "x"\nparameters = { requester = "Morgan" }', "the delivery decides requester"),
        ('deployment = "pipeline"', "webhooks.rules.0.deployment"),
        ('branch = "main"', "did you mean 'branches'"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_without_its_secret(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        project_with(tmp_path, WITHOUT_SOURCE + text)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_login_name_for_ssh_is_no_secret(tmp_path: Path) -> None:
    assert project_with(tmp_path, WITHOUT_SOURCE + 'source = "ssh://git@git.example/acme/shop.git"')
