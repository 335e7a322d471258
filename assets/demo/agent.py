"""The demo's scripted agent: reads its prompt, then works, gives up or takes too long by it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

BLUE, GREEN, YELLOW, DIM, END = "\033[94m", "\033[32m", "\033[33m", "\033[2m", "\033[0m"
PAUSE_SECONDS = 0.5
MODULE, TESTS = "hello/__init__.py", "tests/test_hello.py"

GREET = '''"""A very small package, for watching an agent work."""


def greet(name: str = "you") -> str:
    """Say hello to somebody."""
    return f"Hello, {name}!"
'''
GREET_TEST = """

class Names(unittest.TestCase):
    def test_it_greets_by_name(self) -> None:
        self.assertEqual("Hello, Ada!", hello.greet("Ada"))
"""
GOODBYE = '''"""The other end of a conversation."""


def farewell(name: str = "you") -> str:
    """Say goodbye to somebody."""
    return f"Goodbye, {name}!"
'''
GOODBYE_TEST = """import unittest

from hello.goodbye import farewell


class Farewell(unittest.TestCase):
    def test_it_says_goodbye(self) -> None:
        self.assertEqual("Goodbye, Ada!", farewell("Ada"))
"""
USAGE = """
## Use

    >>> import hello
    >>> hello.greet()

`hello` says hello, and nothing else.
"""


def say(text: str) -> None:
    """One line of progress, a moment apart from the next."""
    print(f"{DIM}{time.strftime('%H:%M:%S')}{END} {text}", flush=True)
    time.sleep(PAUSE_SECONDS)


def write(path: str, text: str) -> None:
    """Make or replace a file."""
    file = Path(path)
    before = len(file.read_text().splitlines()) if file.exists() else 0
    file.write_text(text)
    say(f"{BLUE}▸ Edit{END} {path}  {GREEN}+{text.count(chr(10))}{END} {YELLOW}−{before}{END}")


def append(path: str, text: str) -> None:
    """Add to a file, before its last lines where those start the tests."""
    file = Path(path)
    before, mark, after = file.read_text().partition('\n\nif __name__ == "__main__":')
    file.write_text(before.rstrip("\n") + "\n" + text + mark + after)
    say(f"{BLUE}▸ Edit{END} {path}  {GREEN}+{text.count(chr(10))}{END}")


def test() -> int:
    """The exit code of the package's own tests."""
    say(f"{BLUE}▸ Bash{END} python -m unittest")
    return subprocess.run([sys.executable, "-m", "unittest", "discover", "-s", "tests"]).returncode


def commit(subject: str) -> int:
    """Test, then commit what was changed; the exit code of this agent."""
    if test() != 0:
        say(f"{YELLOW}The tests fail.{END}")
        return 1
    say(f"{BLUE}▸ Bash{END} git commit")
    subprocess.run(["git", "add", "--all", "hello", "tests", "README.md"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", subject], check=True)
    say(f"{GREEN}Done:{END} {subject}")
    return 0


def greet_by_name() -> int:
    """What can be done."""
    write(MODULE, GREET)
    append(TESTS, GREET_TEST)
    return commit("Greet people by their name")


def remove_greet() -> int:
    """What cannot be done: the tests need what is to go."""
    write(MODULE, GREET.partition("\n")[0] + "\n")
    if test() == 0:
        return commit("Remove greet")
    say(f"{YELLOW}Giving up:{END} the tests call greet, and the issue forbids to change them.")
    return 1


def greet_everybody() -> int:
    """What takes longer than any run may."""
    for number in itertools.count(1):
        say(f"Hello, person {number} of 8,000,000,000!")
    return 0


def look_round() -> int:
    """What leaves nothing to deliver."""
    code = test()
    say("There is nothing to change." if code == 0 else f"{YELLOW}The tests fail.{END}")
    return code


def say_goodbye() -> int:
    """What can be done, too."""
    write("hello/goodbye.py", GOODBYE)
    write("tests/test_goodbye.py", GOODBYE_TEST)
    return commit("Say goodbye too")


def explain() -> int:
    """What is done where nothing else is asked for that this agent knows."""
    if USAGE in Path("README.md").read_text():
        return look_round()
    append("README.md", USAGE)
    return commit("Explain how hello is used")


ISSUES = {
    "Greet people by their name": greet_by_name,
    "Remove greet without touching a test": remove_greet,
    "Greet everybody on Earth, one by one": greet_everybody,
    "See whether the tests pass": look_round,
    "Say goodbye too": say_goodbye,
}


def main() -> int:
    """Read, look, then do what the prompt names."""
    prompt = Path(sys.argv[1]).read_text()
    say(f"The scripted agent is on {os.environ['RUNYARD_BRANCH']}")
    say(f"{BLUE}▸ Read{END} {MODULE}")
    return next((do for title, do in ISSUES.items() if title in prompt), explain)()


if __name__ == "__main__":
    sys.exit(main())
