"""PostgreSQL's parse tree, read into what `faberdb.statements` needs. Slow to import: 0.2 s."""
