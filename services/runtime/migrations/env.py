"""What alembic runs for every service's migrations; `services.runtime.database.migrate` hands it the connection."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
# The transaction is the caller's: either the whole way to the newest revision, or nothing.
context.run_migrations()
