"""Runyard's entry: the same commands as `runyard`; `serve` where none is given."""

from app.cli.main import main

if __name__ == "__main__":
    main()
