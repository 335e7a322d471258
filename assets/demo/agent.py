"""The demo's scripted agent: reads its prompt, edits, tests and commits, in a few seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

BLUE, GREEN, YELLOW, DIM, END = "\033[94m", "\033[32m", "\033[33m", "\033[2m", "\033[0m"
PAUSE_SECONDS = 0.5

GREET = '''"""A very small package, for looking on while an agent works."""


def greet(name: str = "you") -> str:
    """Say hello to somebody."""
    return f"Hello, {name}!"
'''
GREET_TEST = '''

class Names(unittest.TestCase):
    def test_it_greets_by_name(self) -> None:
        self.assertEqual("Hello, Ada!", hello.greet("Ada"))
'''
FAREWELL = '''

def farewell(name: str = "you") -> str:
    """Say goodbye to somebody."""
    return f"Goodbye, {name}!"
'''
FAREWELL_TEST = '''

class Farewell(unittest.TestCase):
    def test_it_says_goodbye(self) -> None:
        self.assertEqual("Goodbye, Ada!", hello.farewell("Ada"))
'''
USAGE = '''
## Use

    >>> import hello
    >>> hello.greet()

`hello` says hello, and nothing else.
'''


def say(text: str) -> None:
    """One line of progress, a moment apart from the next."""
    print(f"{DIM}{time.strftime('%H:%M:%S')}{END} {text}", flush=True)
    time.sleep(PAUSE_SECONDS)


def append(path: str, text: str) -> None:
    """Add to a file, before its last lines where those start the tests."""
    file = Path(path)
    before, mark, after = file.read_text().partition('\n\nif __name__ == "__main__":')
    file.write_text(before.rstrip("\n") + "\n" + text + mark + after)
    say(f"{BLUE}▸ Edit{END} {path}  {GREEN}+{text.count(chr(10))}{END}")


def work(prompt: str) -> str:
    """Do what the issue asks; the commit's subject."""
    if "Greet people" in prompt:
        Path("hello/__init__.py").write_text(GREET)
        say(f"{BLUE}▸ Edit{END} hello/__init__.py  {GREEN}+3{END} {YELLOW}−3{END}")
        append("tests/test_hello.py", GREET_TEST)
        return "Greet people by their name"
    if "goodbye" in prompt:
        append("hello/__init__.py", FAREWELL)
        append("tests/test_hello.py", FAREWELL_TEST)
        return "Say goodbye too"
    append("README.md", USAGE)
    return "Explain how hello is used"


def main() -> int:
    """Read, look, work, test, commit."""
    prompt = Path(sys.argv[1]).read_text()
    say(f"The scripted agent is on {os.environ['RUNYARD_BRANCH']}")
    say(f"{BLUE}▸ Read{END} hello/__init__.py")
    subject = work(prompt)
    say(f"{BLUE}▸ Bash{END} python -m unittest")
    tests = subprocess.run([sys.executable, "-m", "unittest", "discover", "-s", "tests"])
    if tests.returncode:
        return tests.returncode
    say(f"{BLUE}▸ Bash{END} git commit")
    subprocess.run(["git", "add", "--all", "hello/__init__.py", "tests/test_hello.py", "README.md"])
    commit = subprocess.run(["git", "commit", "--quiet", "--message", subject])
    say(f"{GREEN}Done:{END} {subject}")
    return commit.returncode


if __name__ == "__main__":
    sys.exit(main())
