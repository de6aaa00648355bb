"""The manifest store: manifests kept apart from their files, found again by their watermark.

>>> from vasari.provenance.store import ManifestStore
>>> with ManifestStore.default() as store:  # doctest: +SKIP
...     store.add(manifest)
...     store.by_identifier(0x00C0FFEE1234)

SQLite by default, in the user's data folder; any database that SQLAlchemy knows, by its URL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from vasari.errors import InputError, OutputError, ProvenanceError
from vasari.provenance.evidence import read_stored
from vasari.provenance.fingerprint import HASH_BYTES, fingerprint_of
from vasari.provenance.folders import store_path

SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 64 << 20  # ours are some 30 kB; larger ones carry large ingredients' manifests
BUSY_SECONDS = 30  # how long a writer waits for others

_metadata = sql.MetaData()
_manifests = sql.Table(
    "manifests",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("identifier", sql.BigInteger, nullable=False, index=True),
    sql.Column("label", sql.String(200), nullable=False, unique=True),
    sql.Column("title", sql.String(200), nullable=False),
    sql.Column("signer", sql.String(200), nullable=False),
    sql.Column("created", sql.DateTime, nullable=False, index=True),  # UTC
    sql.Column("manifest", sql.LargeBinary, nullable=False),
)
# A table of its own: fingerprints came later, and some manifests have none.
_fingerprints = sql.Table(
    "fingerprints",
    _metadata,
    sql.Column("label", sql.String(200), primary_key=True),
    sql.Column("hashes", sql.LargeBinary, nullable=False),
)
_kept = sql.select(_manifests, _fingerprints.c.hashes).select_from(
    _manifests.outerjoin(_fingerprints, _manifests.c.label == _fingerprints.c.label)
)
_version = sql.Table("schema", _metadata, sql.Column("version", sql.Integer, primary_key=True))


_COLUMNS = ("identifier", "label", "title", "signer", "created", "manifest")


@dataclass(frozen=True)
class Entry:
    """One kept manifest."""

    identifier: int  # of the watermark, 48 bits
    label: str  # of the active manifest, for instance "urn:c2pa:…"
    title: str  # of the output
    signer: str  # whom the certificate names
    created: datetime  # when it was kept, UTC
    manifest: bytes  # the manifest store as it stood in the file (JUMBF)
    fingerprint: bytes = b""  # of the output's frames, if they were given


class ManifestStore:
    """Manifests in a database; several processes may write at once.

    A manifest that was added is on the disk: a crash afterwards does not lose it.
    """

    def __init__(self, engine: sql.Engine) -> None:
        """Use a database, and make its tables if there are none.

        Raises:
            OutputError: the database cannot be opened or written.
            ProvenanceError: it was made by a newer Vasari.
        """
        self._engine = engine
        with self._named():
            self._create_tables()
            self._check_version()

    @classmethod
    def default(cls) -> ManifestStore:
        """The store in the user's data folder, created on first use."""
        path = store_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(f"no manifest store can be kept in {path.parent}: {error}") from error
        return cls.open(f"sqlite:///{path}")

    @classmethod
    def open(cls, url: str) -> ManifestStore:
        """The store at a SQLAlchemy URL, for instance ``postgresql+psycopg://host/name``.

        Raises:
            InputError: the URL is malformed, or its driver is not installed.
        """
        try:
            engine = sql.create_engine(url)
        except (SQLAlchemyError, ImportError) as error:
            raise InputError(f"cannot open the manifest store {url}: {error}") from error
        if engine.dialect.name == "sqlite":
            sql.event.listen(engine, "connect", _prepare_sqlite)
        return cls(engine)

    def __enter__(self) -> ManifestStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def add(self, manifest: bytes, file: Path | None = None, *, fingerprint: bytes = b"") -> Entry:
        """Keep a manifest; adding the same one again changes nothing.

        Args:
            manifest: as `vasari.provenance.manifest.sign` returns it.
            file: the signed video, to know its frames again.
            fingerprint: of its frames, where it was taken before.

        Raises:
            ProvenanceError: it cannot be read, or names no watermark of Vasari.
            OutputError: it could not be written.
        """
        entry = _entry(manifest, fingerprint if file is None else fingerprint_of(file))
        values = {name: getattr(entry, name) for name in _COLUMNS}
        present = sql.select(_manifests.c.number).where(_manifests.c.label == entry.label)
        # Whoever keeps the same manifest at the same moment keeps it for both.
        with self._named(), contextlib.suppress(IntegrityError), self._engine.begin() as connection:
            if connection.execute(present).first() is None:
                connection.execute(_manifests.insert().values(**values))
                hashes = {"label": entry.label, "hashes": entry.fingerprint}
                connection.execute(_fingerprints.insert().values(**hashes))
        return entry

    def by_identifier(self, identifier: int) -> list[Entry]:
        """The manifests that name this watermark, newest first.

        There is one as a rule; two makers may have drawn the same number, and anyone can forge.
        """
        return self._select(_manifests.c.identifier == identifier)

    def by_label(self, label: str) -> Entry | None:
        """The manifest with this label."""
        found = self._select(_manifests.c.label == label)
        return found[0] if found else None

    def newest(self, limit: int) -> list[Entry]:
        """The manifests kept last, newest first."""
        return self._select(sql.true(), limit)

    def __iter__(self) -> Iterator[Entry]:
        """All manifests, oldest first, without holding them in memory."""
        query = _kept.order_by(_manifests.c.number)
        with self._named(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=100).execute(query):
                yield _to_entry(row)

    def __len__(self) -> int:
        with self._named(), self._engine.connect() as connection:
            return connection.execute(
                sql.select(sql.func.count()).select_from(_manifests)
            ).scalar_one()

    def remove_before(self, moment: datetime) -> int:
        """Remove what was kept before a moment, and say how many that were."""
        old = _manifests.c.created < moment.astimezone(timezone.utc).replace(tzinfo=None)
        labels = sql.select(_manifests.c.label).where(old)
        with self._named(), self._engine.begin() as connection:
            connection.execute(_fingerprints.delete().where(_fingerprints.c.label.in_(labels)))
            return connection.execute(_manifests.delete().where(old)).rowcount

    def _select(self, condition: sql.ColumnElement[bool], limit: int | None = None) -> list[Entry]:
        query = _kept.where(condition).order_by(_manifests.c.number.desc())
        with self._named(), self._engine.connect() as connection:
            return [_to_entry(row) for row in connection.execute(query.limit(limit))]

    def _create_tables(self) -> None:
        """Make what is missing; another process may be doing the same."""
        with self._engine.begin() as connection:
            for table in _metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))

    def _check_version(self) -> None:
        with contextlib.suppress(IntegrityError), self._engine.begin() as connection:
            if connection.execute(sql.select(_version)).first() is None:
                connection.execute(_version.insert().values(version=SCHEMA_VERSION))
        with self._engine.connect() as connection:
            found = connection.execute(sql.select(_version.c.version)).scalar_one()
        if found > SCHEMA_VERSION:
            raise ProvenanceError(
                f"the manifest store {self._name} was made by a newer Vasari (schema {found}); "
                f"this one reads up to {SCHEMA_VERSION}"
            )

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Turn the database's errors into one line that names the store."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise OutputError(f"the manifest store {self._name} failed: {reason}") from error

    @property
    def _name(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Let readers and a writer work at once, and write through to the disk at each commit."""
    connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _entry(manifest: bytes, fingerprint: bytes) -> Entry:
    """What to keep of a manifest, by its own account, and of its file."""
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise ProvenanceError(
            f"a manifest of {len(manifest)} bytes is too large to keep; at most "
            f"{MAX_MANIFEST_BYTES} are accepted"
        )
    if len(fingerprint) % HASH_BYTES:
        raise ProvenanceError(f"a fingerprint of {len(fingerprint)} bytes is none")
    label, content = read_stored(manifest)
    if not content.watermarks:
        raise ProvenanceError("a manifest that names no watermark of Vasari is not kept")
    identifier, now = int(content.watermarks[0], 16), datetime.now(timezone.utc)
    return Entry(identifier, label, content.title, content.signer, now, manifest, fingerprint)


def _to_entry(row: sql.Row[Any]) -> Entry:
    created = row.created.replace(tzinfo=timezone.utc)
    kept = (row.identifier, row.label, row.title, row.signer, created, row.manifest)
    return Entry(*kept, fingerprint=row.hashes or b"")
