"""The tables of the manifest store: how each version of them is made from the one before.

The steps are written with Alembic's operations, and Alembic keeps the version in the database
(table ``alembic_version``). A step that was released is never changed; a new one is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import sqlalchemy as sql
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script
from alembic.script.revision import RevisionMap

# Of PostgreSQL's advisory lock that lets one process migrate at a time: any number of our own.
LOCK = 0x56617361


def _manifests(op: Operations) -> None:
    """Manifests under their watermarks; a store from before Alembic has the table already."""
    op.create_table(
        "manifests",
        sql.Column("number", sql.Integer, primary_key=True),
        sql.Column("identifier", sql.BigInteger, nullable=False),
        sql.Column("label", sql.String(200), nullable=False, unique=True),
        sql.Column("title", sql.String(200), nullable=False),
        sql.Column("signer", sql.String(200), nullable=False),
        sql.Column("created", sql.DateTime, nullable=False),
        sql.Column("manifest", sql.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    for column in ("identifier", "created"):
        op.create_index(f"ix_manifests_{column}", "manifests", [column], if_not_exists=True)
    op.drop_table("schema", if_exists=True)  # of the time before Alembic


def _fingerprints(op: Operations) -> None:
    """Fingerprints, and the index by which they are found; those of 64 bits go."""
    op.drop_table("fingerprints", if_exists=True)
    op.create_table(
        "fingerprints",
        sql.Column("manifest", sql.Integer, sql.ForeignKey("manifests.number"), primary_key=True),
        sql.Column("hashes", sql.LargeBinary, nullable=False),
        sql.Column("strip", sql.LargeBinary, nullable=False),
        sql.Column("seconds", sql.Float, nullable=False),
        sql.Column("width", sql.Integer, nullable=False),
        sql.Column("height", sql.Integer, nullable=False),
    )
    op.create_table(
        "fingerprint_index",
        sql.Column("key", sql.BigInteger, primary_key=True, autoincrement=False),
        sql.Column("manifest", sql.Integer, sql.ForeignKey("manifests.number"), primary_key=True),
        sql.Column("bits", sql.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_fingerprint_index_manifest", "fingerprint_index", ["manifest"])


# The last is `vasari.provenance.store.SCHEMA`.
STEPS: dict[str, Callable[[Operations], None]] = {"0001": _manifests, "0002": _fingerprints}


def upgrade(engine: sql.Engine) -> None:
    """Bring a database's tables to the newest version; one process does it, others wait for it."""
    if engine.dialect.name == "sqlite":
        # Python's driver begins no transaction by itself for statements that make tables.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                _run(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(LOCK)))
        _run(connection)


def _run(connection: sql.Connection) -> None:
    def pending(found: str | tuple[str, ...], context: MigrationContext) -> Sequence[RevisionStep]:
        done = found if isinstance(found, str) else "".join(found)
        scripts = [known.get_revision(revision) for revision in STEPS if revision > done]
        return [RevisionStep(known, script, True) for script in scripts]  # type: ignore[arg-type]

    known = RevisionMap(_scripts)
    context = MigrationContext.configure(connection, opts={"fn": pending})
    with Operations.context(context):
        context.run_migrations()


def _scripts() -> list[Script]:
    """The steps as Alembic takes them."""
    scripts, before = [], None
    for revision, step in STEPS.items():
        module = SimpleNamespace(
            revision=revision,
            down_revision=before,
            branch_labels=None,
            depends_on=None,
            upgrade=_bound(step),
        )
        scripts.append(Script(module, revision, ""))  # type: ignore[arg-type]
        before = revision
    return scripts


def _bound(step: Callable[[Operations], None]) -> Callable[[], None]:
    """A step with the operations of the migration that runs."""
    from alembic import op

    return lambda: step(op)  # type: ignore[arg-type]
