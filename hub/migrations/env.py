"""Alembic's environment: runs the revisions on the connection that `hub.store.migrate` hands over."""

from alembic import context

from hub import (  # the other tables join the same metadata
    tables,
    tables_ledger,
    tables_models,
    tables_payments,
    tables_settlement,
    tables_statements,
)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

__all__ = ["tables", "tables_ledger", "tables_models", "tables_payments", "tables_settlement", "tables_statements"]
