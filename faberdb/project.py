"""An application's repository with migrations of one tool and a configuration."""

from __future__ import annotations

import difflib
import os
import re
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from faberdb.checks import Check
from faberdb.config.load import find_config, load_config, root_of
from faberdb.config.model import FaberConfig, Hosting
from faberdb.errors import CommandFailed, ConfigInvalid, Refused
from faberdb.policy import Policy, policy_for
from faberdb.snapshot.place import S3Place
from faberdb.subprocesses import run_program

__all__ = ["Environment", "Hosting", "Project", "load_project"]

_VARIABLES = {"dev": "DEV_DATABASE_URL", "staging": "STAGING_DATABASE_URL", "production": "PROD_DATABASE_URL"}


class Environment(Struct, frozen=True, kw_only=True):
    """One environment of a project, with its policy decided."""

    name: str
    hosting: Hosting
    database: str  # its name on the embedded server; a URL names its own
    variable: str  # holds the connection URL
    direct_variable: str  # holds a URL past a connection pooler, "" for none
    connection_block: str  # name of a Prefect block, "" for none
    policy: Policy


class Project(Struct, frozen=True, dict=True):
    """A project by its folder and configuration."""

    root: Path
    config: FaberConfig
    config_path: Path

    @cached_property
    def name(self) -> str:
        """Used in database names and the ledger."""
        if self.config.project.name:
            return self.config.project.name
        made = re.sub(r"[^a-z0-9]+", "_", self.root.name.lower()).strip("_")
        return made if made[:1].isalpha() else f"p_{made}"

    @cached_property
    def environments(self) -> tuple[Environment, ...]:
        """In order of promotion."""
        return tuple(self._environment(name) for name in self.config.environments)

    @property
    def final_environment(self) -> Environment:
        """The last in order of promotion: what everybody else calls production."""
        return self.environments[-1]

    @property
    def staging_environment(self) -> Environment:
        """Where Evaluate releases to."""
        named = self.config.evaluate.staging
        if named:
            return self.environment(named)
        return self.environments[-2] if len(self.environments) > 1 else self.environments[0]

    @property
    def home(self) -> Path:
        """The folder of local state: embedded server, snapshots, logs."""
        given = os.environ.get("FABER_DB_HOME")
        return Path(given).resolve() if given else self.root / ".faber"

    @property
    def uses_embedded(self) -> bool:
        """Whether anything of this project lives on the embedded server."""
        hosted = any(e.hosting is Hosting.EMBEDDED for e in self.environments)
        return hosted or not os.environ.get(self.config.ledger.connection_string_env)

    @property
    def migrations_directory(self) -> Path:
        """The revisions' folder."""
        return self.root / self.config.migrations.directory

    @property
    def schema_file(self) -> Path | None:
        """The tool's schema file or folder, None where the project has none."""
        named = self.config.migrations.schema_file
        candidates = [named] if named else ["prisma/schema.prisma", "prisma", "schema.prisma"]
        return next((self.root / c for c in candidates if _is_schema(self.root / c)), None)

    @property
    def snapshots(self) -> Path | S3Place:
        """Where snapshots are kept, as the configuration says."""
        backup = self.config.backup
        if backup.s3 is not None:
            return backup.s3.place
        return self.root / backup.directory if backup.directory else self.home / "snapshots"

    @property
    def scratch_directory(self) -> Path:
        """Where a snapshot is before it is sent to a store far away, and after it is fetched."""
        named = self.config.backup.scratch_directory
        return self.root / named if named else self.home / "scratch"

    def environment(self, name: str) -> Environment:
        """An environment by name.

        Raises:
            Refused: there is none of that name.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        names = [e.name for e in self.environments]
        close = difflib.get_close_matches(name, names, n=1)
        raise Refused(
            f"There is no environment {name!r}" + (f"; did you mean {close[0]!r}?" if close else "."),
            why=f"{self.config_path.name} has: {', '.join(names)}.",
            next_step="faber-db status",
        )

    def checks_for(self, environment: str) -> tuple[Check, ...]:
        """The project's checks that hold in an environment; for a name of none, those that hold everywhere."""
        return tuple(
            Check(name=c.name, sql=c.sql, command=c.command, timeout_s=c.timeout_seconds, cwd=self.root)
            for c in self.config.checks
            if c.environments is None or environment in c.environments
        )

    def may_seed(self, environment: str) -> bool:
        """Whether the seed may run there."""
        named = self.config.seed.environments
        if named is not None:
            return environment in named
        return not self.environment(environment).policy.protected

    def commit(self) -> str:
        """The git commit of the project's folder, with `-dirty` when files differ; "" outside a repository."""
        try:
            found = run_program(
                ["git", "rev-parse", "HEAD"], timeout_s=10, cwd=self.root, what="git rev-parse", check=False
            )
            if found.code != 0:
                return ""
            changed = run_program(
                ["git", "status", "--porcelain", "--", "."], timeout_s=30, cwd=self.root, what="git status"
            )
        except CommandFailed:  # no git on this machine: a commit is a courtesy
            return ""
        return found.output.strip() + ("-dirty" if changed.output.strip() else "")

    def tracked_secrets(self) -> str:
        """A warning when git tracks the `.env` that may hold passwords; "" when it does not."""
        if not (self.root / ".env").is_file():
            return ""
        try:
            found = run_program(
                ["git", "ls-files", "--error-unmatch", ".env"],
                timeout_s=10,
                cwd=self.root,
                what="git ls-files",
                check=False,
            )
        except CommandFailed:  # no git, so nothing is tracked
            return ""
        if found.code != 0:
            return ""
        return ".env is tracked by git: git rm --cached .env, and add it to .gitignore"

    def _environment(self, name: str) -> Environment:
        section = self.config.environments[name]
        database = section.database or f"{self.name}_{re.sub(r'[^a-z0-9_]', '_', name.lower())}"
        if len(database) > 63:
            raise ConfigInvalid(
                f"The database name {database!r} has more than PostgreSQL's 63 characters.",
                next_step=f"set environments.{name}.database to a shorter one",
            )
        return Environment(
            name=name,
            hosting=section.hosting or self.config.database.hosting,
            database=database,
            variable=section.connection_string_env or _VARIABLES.get(name) or f"{_upper(name)}_DATABASE_URL",
            direct_variable=section.direct_connection_string_env,
            connection_block=section.connection_block,
            policy=policy_for(self.config, name),
        )


def _is_schema(path: Path) -> bool:
    """A schema's file, or a folder that has one; `prisma/` is there for its migrations too."""
    return path.is_file() or (path.is_dir() and any(path.rglob("*.prisma")))


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def load_project(start: str | Path | None = None) -> Project:
    """The project whose configuration is nearest, from `start` upward.

    Raises:
        ConfigInvalid: there is none, or it is wrong.
    """
    path = find_config(Path(start) if start else None)
    return Project(root=root_of(path), config=load_config(path), config_path=path)
