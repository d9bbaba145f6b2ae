"""Schema revisions (Alembic). `hub.store.migrate` runs them; nothing here is run by itself."""
