"""Entry point of Runyard: the same commands as `runyard`, `serve` by default."""

from app.cli.main import main

if __name__ == "__main__":
    main()
