"""`runyard retention`: what is kept of runs that are over, and what goes next."""

from __future__ import annotations

import typer

from app.cli.connection import connect
from app.cli.options import DataDir, Json, example
from app.cli.run_view import date_and_clock
from app.cli.terminal import out, print_json
from app.domain.ids import shorten
from app.domain.sizes import size_words


def register_retention(app: typer.Typer) -> None:
    """Add the command."""
    app.command("retention", epilog=example("runyard retention"))(show)


def show(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show how many logs and copies are kept, and which go next.

    What goes is shown for an hour first. Copies with work that is not merged never go by
    themselves.
    """
    kept = connect(data_dir).get("/retention")
    if json_only:
        print_json(kept)
        return
    copies = kept["copies"]
    out().say(f"Logs: {kept['kept_runs']}, {size_words(kept['kept_bytes'])}.")
    staying = f"{copies['staying']} with work that stays, {size_words(copies['staying_bytes'])}"
    out().say(f"Working copies: {copies['kept']}, {size_words(copies['bytes'])}; {staying}.")
    rows = [
        [
            *(what, shorten(str(one["run_id"])), size_words(one["bytes"]), str(one["because"])),
            date_and_clock(one["goes_at"]),
        ]
        for what, some in (("log", kept), ("copy", copies))
        for one in some["leaving"]
    ]
    if rows:
        out().say_table(["GOES NEXT", "RUN", "SIZE", "BECAUSE", "FROM"], rows)
    else:
        out().say("Nothing is to go.")
