"""Processes whose threads all increment one counter (F37).

Run as a program: URL, processes, threads, times. Exits with 0 if no increment was refused.
"""

from __future__ import annotations

import os
import sys
import threading

from sqlmodel import select

from app.records.database.database import Database
from app.records.tables import Project


def count_up(database: Database) -> None:
    """Increment by reading first; SQLite refuses this if the read began without the write lock."""
    with database.transaction() as tx:
        project = tx.scalars(select(Project)).one()
        project.strikes += 1
        tx.add(project)


def count_in_threads(url: str, threads: int, times: int) -> list[BaseException]:
    """Increment from many threads of one process; return the errors."""
    database = Database(url, publish=lambda _: None)
    refused: list[BaseException] = []

    def go_on() -> None:
        try:
            for _ in range(times):
                count_up(database)
        except BaseException as problem:
            refused.append(problem)

    writers = [threading.Thread(target=go_on) for _ in range(threads)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    database.close()
    return refused


def main(url: str, processes: int, threads: int, times: int) -> None:
    """Increment from all processes at once."""
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            refused = count_in_threads(url, threads, times)
            sys.stderr.write("".join(f"{problem!r}\n" for problem in refused))
            sys.stderr.flush()
            os._exit(bool(refused))
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(ends))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
