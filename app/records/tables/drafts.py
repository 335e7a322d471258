"""Rows that are made without their models' constructors."""

# stands alone: rows of either store are made this way

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Mapper, class_mapper
from sqlalchemy.orm.base import instance_dict
from sqlmodel import SQLModel

Row = TypeVar("Row", bound=SQLModel)


def drafted(table: type[Row], columns: Mapping[str, Any]) -> Row:
    """Return a row of no session with these columns, which have to be all of the table's.

    A model's own constructor takes ten times as long, because it sets one column after the other.
    """
    mapper: Mapper[Row] = class_mapper(table)
    row = mapper.class_manager.new_instance()
    instance_dict(row).update(columns)
    return row
