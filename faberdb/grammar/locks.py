"""Which lock each kind of statement takes on a relation, as PostgreSQL documents it.

From "Explicit Locking" and each command's page of PostgreSQL 18. Keys are the parse tree's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LOCK_OF_STATEMENT: Final[Mapping[str, str]] = {
    "insert_stmt": "ROW EXCLUSIVE",
    "update_stmt": "ROW EXCLUSIVE",
    "delete_stmt": "ROW EXCLUSIVE",
    "merge_stmt": "ROW EXCLUSIVE",
    "truncate_stmt": "ACCESS EXCLUSIVE",
    "create_trig_stmt": "SHARE ROW EXCLUSIVE",
    "rule_stmt": "ACCESS EXCLUSIVE",
    "create_policy_stmt": "ACCESS EXCLUSIVE",
    "alter_policy_stmt": "ACCESS EXCLUSIVE",
    "create_stats_stmt": "SHARE UPDATE EXCLUSIVE",
    "view_stmt": "ACCESS EXCLUSIVE",  # only where it replaces one
    "alter_seq_stmt": "SHARE ROW EXCLUSIVE",
    "cluster_stmt": "ACCESS EXCLUSIVE",
    "alter_table_move_all_stmt": "ACCESS EXCLUSIVE",
}

# Subcommands of ALTER TABLE and its kin that need less than the ACCESS EXCLUSIVE of all others.
LOCK_OF_ALTER: Final[Mapping[str, str]] = {
    "AT_SetStatistics": "SHARE UPDATE EXCLUSIVE",
    "AT_SetOptions": "SHARE UPDATE EXCLUSIVE",
    "AT_ResetOptions": "SHARE UPDATE EXCLUSIVE",
    "AT_SetRelOptions": "SHARE UPDATE EXCLUSIVE",
    "AT_ResetRelOptions": "SHARE UPDATE EXCLUSIVE",
    "AT_ValidateConstraint": "SHARE UPDATE EXCLUSIVE",
    "AT_ClusterOn": "SHARE UPDATE EXCLUSIVE",
    "AT_DropCluster": "SHARE UPDATE EXCLUSIVE",
    "AT_EnableTrig": "SHARE ROW EXCLUSIVE",
    "AT_EnableAlwaysTrig": "SHARE ROW EXCLUSIVE",
    "AT_EnableReplicaTrig": "SHARE ROW EXCLUSIVE",
    "AT_EnableTrigAll": "SHARE ROW EXCLUSIVE",
    "AT_EnableTrigUser": "SHARE ROW EXCLUSIVE",
    "AT_DisableTrig": "SHARE ROW EXCLUSIVE",
    "AT_DisableTrigAll": "SHARE ROW EXCLUSIVE",
    "AT_DisableTrigUser": "SHARE ROW EXCLUSIVE",
    "AT_AttachPartition": "SHARE UPDATE EXCLUSIVE",
    "AT_DetachPartitionFinalize": "SHARE UPDATE EXCLUSIVE",
}
