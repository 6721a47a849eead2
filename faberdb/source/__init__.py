"""Where an application's code comes from: a folder, or a git repository at one commit.

Knows git and nothing of databases. A repository is mirrored once a URL; each run gets a clean checkout of
the one commit it was pinned to.
"""

from faberdb.source.address import GitUrl, block_name, is_git_url, parse_git_url, refuse_ref_of_folder
from faberdb.source.checkout import (
    checkout,
    folder_for_run,
    mirrors_folder,
    remove_checkout,
    require_fit,
    state_home,
)
from faberdb.source.git import GitLogin
from faberdb.source.mirror import pin

__all__ = [
    "GitLogin",
    "GitUrl",
    "block_name",
    "checkout",
    "folder_for_run",
    "is_git_url",
    "mirrors_folder",
    "parse_git_url",
    "pin",
    "refuse_ref_of_folder",
    "remove_checkout",
    "require_fit",
    "state_home",
]
