"""Prisma Migrate's revisions and tracking table, read and written as Prisma itself does, without Node."""

from faberdb.tools.prisma.datasource import Datasource, read_datasource
from faberdb.tools.prisma.migrations import PrismaMigrations

__all__ = ["Datasource", "PrismaMigrations", "read_datasource"]
