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
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from vasari.errors import InputError, OutputError, ProvenanceError
from vasari.provenance.evidence import Manifest, read_stored
from vasari.provenance.fingerprint import (
    INDEXED_BITS,
    MAX_LOOKUP_DISTANCE,
    Fingerprint,
    fingerprint_of,
    fingerprint_of_picture,
    index_keys,
    whole_distance,
)
from vasari.provenance.folders import store_path
from vasari.provenance.pictures import thumbnails

SCHEMA = "0002"  # the version of the tables that `vasari.provenance.migrations` makes
MAX_MANIFEST_BYTES = 64 << 20  # ours are some 30 kB; larger ones carry large ingredients' manifests
BUSY_SECONDS = 30  # how long a writer waits for others
MAX_INDEXED_DISTANCE = 10  # of the 64 indexed bits: more, and the whole hash is not near either
MAX_COMPARED = 200  # records whose fingerprints are compared in full in one look-up

_metadata = sql.MetaData()
_manifests = sql.Table(
    "manifests",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("identifier", sql.BigInteger),
    sql.Column("label", sql.String(200)),
    sql.Column("title", sql.String(200)),
    sql.Column("signer", sql.String(200)),
    sql.Column("created", sql.DateTime),  # UTC
    sql.Column("manifest", sql.LargeBinary),
)
_fingerprints = sql.Table(
    "fingerprints",
    _metadata,
    sql.Column("manifest", sql.Integer, primary_key=True),  # number
    sql.Column("hashes", sql.LargeBinary),
    sql.Column("strip", sql.LargeBinary),
    sql.Column("seconds", sql.Float),
    sql.Column("width", sql.Integer),
    sql.Column("height", sql.Integer),
)
_index = sql.Table(
    "fingerprint_index",
    _metadata,
    sql.Column("key", sql.BigInteger, primary_key=True),
    sql.Column("manifest", sql.Integer, primary_key=True),  # number
    sql.Column("bits", sql.BigInteger),
)
_version = sql.Table("alembic_version", _metadata, sql.Column("version_num", sql.String(32)))
_LOOKS = ("hashes", "strip", "seconds", "width", "height")
_kept = sql.select(_manifests, *(_fingerprints.c[name] for name in _LOOKS)).select_from(
    _manifests.outerjoin(_fingerprints, _manifests.c.number == _fingerprints.c.manifest)
)

_COLUMNS = ("identifier", "label", "title", "signer", "created", "manifest")


class Match(NamedTuple):
    """A kept manifest whose frames look like those of a clip."""

    entry: Entry
    distance: float  # bits, 0 to MAX_LOOKUP_DISTANCE


@dataclass(frozen=True)
class Entry:
    """One kept manifest."""

    identifier: int  # of the watermark, 48 bits
    label: str  # of the active manifest, for instance "urn:c2pa:…"
    title: str  # of the output
    signer: str  # whom the certificate names
    created: datetime  # when it was kept, UTC
    manifest: bytes  # the manifest store as it stood in the file (JUMBF)
    # Of the output, or of the thumbnail that the manifest carries; empty if there was neither.
    fingerprint: Fingerprint = field(default=Fingerprint(), repr=False)


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

    def add(
        self, manifest: bytes, file: Path | None = None, *, fingerprint: Fingerprint | None = None
    ) -> Entry:
        """Keep a manifest; adding the same one again changes nothing.

        Args:
            manifest: as `vasari.provenance.manifest.sign` returns it.
            file: the signed video, to know its frames again.
            fingerprint: of its frames, where it was taken before.

        Raises:
            ProvenanceError: it cannot be read, or names no watermark of Vasari.
            OutputError: it could not be written.
        """
        if fingerprint is None and file is not None:
            fingerprint = fingerprint_of(file)
        entry = _entry(manifest, fingerprint)
        # Whoever keeps the same manifest at the same moment keeps it for both.
        with self._named(), contextlib.suppress(IntegrityError), self._engine.begin() as connection:
            _insert(connection, entry)
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

    def by_fingerprint(self, fingerprint: Fingerprint, limit: int = 10) -> list[Match]:
        """The manifests of outputs that look like a clip, the most like first.

        Videos of the same portrait look alike, so this is a hint, and no evidence.
        """
        compared = self._select(_manifests.c.number.in_(self._near(fingerprint)))
        found = []
        for entry in compared:
            bits = whole_distance(fingerprint, entry.fingerprint)
            if bits is not None and bits <= MAX_LOOKUP_DISTANCE:
                found.append(Match(entry, bits))
        return sorted(found, key=lambda match: match.distance)[:limit]

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
        numbers = sql.select(_manifests.c.number).where(old)
        with self._named(), self._engine.begin() as connection:
            for table in (_index, _fingerprints):
                connection.execute(table.delete().where(table.c.manifest.in_(numbers)))
            return connection.execute(_manifests.delete().where(old)).rowcount

    def _select(self, condition: sql.ColumnElement[bool], limit: int | None = None) -> list[Entry]:
        query = _kept.where(condition).order_by(_manifests.c.number.desc())
        with self._named(), self._engine.connect() as connection:
            return [_to_entry(row) for row in connection.execute(query.limit(limit))]

    def _near(self, fingerprint: Fingerprint) -> list[int]:
        """Numbers of records with a frame whose indexed bits are near to one of a clip's."""
        keys = index_keys(fingerprint)
        asked = set(keys.values())
        query = sql.select(_index.c.manifest, _index.c.bits).where(_index.c.key.in_(list(keys)))
        nearest: dict[int, int] = {}
        with self._named(), self._engine.connect() as connection:
            for number, bits in connection.execute(query):
                differing = min(_differing(bits, each) for each in asked)
                if differing <= MAX_INDEXED_DISTANCE:
                    nearest[number] = min(differing, nearest.get(number, INDEXED_BITS))
        return sorted(nearest, key=nearest.__getitem__)[:MAX_COMPARED]

    def _check_version(self) -> None:
        """Bring the tables of an older version up to date, and leave those of a newer one alone."""
        found = self._found_version()
        if found < SCHEMA:
            from vasari.provenance.migrations import upgrade

            upgrade(self._engine)
        elif found > SCHEMA:
            raise ProvenanceError(
                f"the manifest store {self._name} was made by a newer Vasari (schema {found}); "
                f"this one reads up to {SCHEMA}"
            )

    def _found_version(self) -> str:
        with self._engine.connect() as connection:
            if not sql.inspect(connection).has_table(_version.name):
                return ""
            return connection.execute(sql.select(_version.c.version_num)).scalar() or ""

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


def _entry(manifest: bytes, fingerprint: Fingerprint | None) -> Entry:
    """What to keep of a manifest, by its own account, and of its file."""
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise ProvenanceError(
            f"a manifest of {len(manifest)} bytes is too large to keep; at most "
            f"{MAX_MANIFEST_BYTES} are accepted"
        )
    label, content = read_stored(manifest)
    if not content.watermarks:
        raise ProvenanceError("a manifest that names no watermark of Vasari is not kept")
    return Entry(
        identifier=int(content.watermarks[0], 16),
        label=label,
        title=content.title,
        signer=content.signer,
        created=datetime.now(timezone.utc),
        manifest=manifest,
        fingerprint=_of_thumbnail(manifest, content) if fingerprint is None else fingerprint,
    )


def _of_thumbnail(manifest: bytes, content: Manifest) -> Fingerprint:
    """The fingerprint of the thumbnail that a manifest carries, if it does."""
    pictures = thumbnails(manifest, [content.thumbnail])
    found = pictures.get(content.thumbnail)
    return fingerprint_of_picture(found) if found else Fingerprint()


def _insert(connection: sql.Connection, entry: Entry) -> None:
    """Write an entry, unless it is there, and what it is found by."""
    present = sql.select(_manifests.c.number).where(_manifests.c.label == entry.label)
    if connection.execute(present).first() is not None:
        return
    values = {name: getattr(entry, name) for name in _COLUMNS}
    made = connection.execute(_manifests.insert().values(**values)).inserted_primary_key
    assert made is not None  # it is for statements that insert several rows only
    number = made[0]
    looks = {name: getattr(entry.fingerprint, name) for name in _LOOKS}
    connection.execute(_fingerprints.insert().values(manifest=number, **looks))
    keys = index_keys(entry.fingerprint)
    if keys:
        rows = [{"key": key, "manifest": number, "bits": bits} for key, bits in keys.items()]
        connection.execute(_index.insert(), rows)


def _differing(bits: int, others: int) -> int:
    return ((bits ^ others) & ((1 << INDEXED_BITS) - 1)).bit_count()


def _to_entry(row: sql.Row[Any]) -> Entry:
    looks = [getattr(row, name) for name in _LOOKS]
    return Entry(
        identifier=row.identifier,
        label=row.label,
        title=row.title,
        signer=row.signer,
        created=row.created.replace(tzinfo=timezone.utc),
        manifest=row.manifest,
        fingerprint=Fingerprint() if row.hashes is None else Fingerprint(*looks),
    )
