"""Column types, and the tables by which two databases refer to each other and exchange effects."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, ColumnElement, DateTime, Text, literal
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, SQLModel


class _TextInUtc(DATETIME):
    """A time as SQLite stores it: text in UTC, without the zone."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[..., datetime | None]:
        """Return the function that reads a stored time."""
        return _in_utc


def _in_utc(value: str | None) -> datetime | None:
    # without SQLAlchemy's regular expression: a page of runs holds hundreds of times
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A point in time: aware in Python, UTC in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column in this kind of database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_TextInUtc())
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)


def one_of(column: str, words: Iterable[str]) -> str:
    """Return the CHECK that limits a column to a list of words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class _HoldsWord(FunctionElement[bool]):
    """SQL function: a JSON list contains a word; compiled separately for each database."""

    type = Boolean()
    inherit_cache = True
    name = "holds_word"


def holds_word(column: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Return the condition that a JSON column, a list of words, contains a word."""
    return _HoldsWord(column, literal(word))


class _MentionsText(FunctionElement[bool]):
    """SQL function: a word of a JSON list matches a LIKE pattern, ignoring case."""

    type = Boolean()
    inherit_cache = True
    name = "mentions_text"


def mentions_text(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that a word of a JSON column, a list of words, contains a text."""
    escaped = text.translate({ord(one): f"/{one}" for one in "/%_"})
    return _MentionsText(column, literal(f"%{escaped}%"))


@compiles(_HoldsWord)
def _opened(element: _HoldsWord, compiler: SQLCompiler, **given: Any) -> str:
    column, word = (compiler.process(clause, **given) for clause in element.clauses)
    # both are the compiler's output, not user input
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS one WHERE one.value = {word})"  # noqa: S608


@compiles(_HoldsWord, "postgresql")
def _opened_by_postgresql(element: _HoldsWord, compiler: SQLCompiler, **given: Any) -> str:
    column, word = (compiler.process(clause, **given) for clause in element.clauses)
    return f"CAST({column} AS jsonb) @> to_jsonb(CAST({word} AS text))"


@compiles(_MentionsText)
def _searched(element: _MentionsText, compiler: SQLCompiler, **given: Any) -> str:
    column, pattern = (compiler.process(clause, **given) for clause in element.clauses)
    words = f"SELECT 1 FROM json_each({column}) AS one"  # noqa: S608
    return f"EXISTS ({words} WHERE one.value LIKE {pattern} ESCAPE '/')"


@compiles(_MentionsText, "postgresql")
def _searched_by_postgresql(element: _MentionsText, compiler: SQLCompiler, **given: Any) -> str:
    column, pattern = (compiler.process(clause, **given) for clause in element.clauses)
    words = f"SELECT 1 FROM jsonb_array_elements_text(CAST({column} AS jsonb)) AS one(value)"  # noqa: S608
    return f"EXISTS ({words} WHERE one.value ILIKE {pattern} ESCAPE '/')"


class Setting(SQLModel, table=True):
    """A fact that a database records about itself, such as its random name."""

    __tablename__ = "setting"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    value: str


class Outgoing(SQLModel, table=True):
    """An effect for the control store, written in the run store with its cause, applied once."""

    __tablename__ = "outbox"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    run_id: str
    data: dict[str, Any] = Field(sa_type=JSON)
    at: datetime = Field(sa_type=Moment)


class Applied(SQLModel, table=True):
    """An outbox entry that the control store has applied, kept while the outbox still has it."""

    __tablename__ = "applied"  # pyright: ignore[reportAssignmentType]

    key: str = Field(primary_key=True)
    sentence: str | None = None


class Stuck(SQLModel, table=True):
    """An operation that failed on one row by a fault of Runyard. Held once `held_at` is set.

    `key` is `<duty>.<id of the row>`; `version` is the program version that tried last.
    """

    __tablename__ = "quarantine"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("tries >= 1", name="tried_at_least_once"),)

    key: str = Field(primary_key=True)
    duty: str
    project_id: str | None = None
    run_id: str | None = None
    tries: int
    because: str = Field(sa_type=Text)
    version: str
    first_at: datetime = Field(sa_type=Moment)
    last_at: datetime = Field(sa_type=Moment)
    held_at: datetime | None = Field(default=None, sa_type=Moment)
