"""An agent that takes orders from a FIFO: `puppet.py <fifo>`, one order per line.

`say TEXT`, `count TO`, `write FILE TEXT`, `commit SUBJECT` and `exit CODE`; one writer of the FIFO
may give several. It prints `ready`, in green, when it listens.
"""

import subprocess
import sys

GREEN, END = "\033[32m", "\033[0m"


def obey(order):
    word, _, rest = order.partition(" ")
    if word == "say":
        print(f"{GREEN}{rest}{END}", flush=True)
    elif word == "count":
        print("\n".join(f"{number:09d}" for number in range(int(rest))), flush=True)
    elif word == "write":
        name, _, text = rest.partition(" ")
        with open(name, "w") as file:
            file.write(text + "\n")
    elif word == "commit":
        subprocess.run(["git", "add", "--all"], check=True)
        subprocess.run(["git", "commit", "--quiet", "--message", rest], check=True)
    elif word == "exit":
        sys.exit(int(rest))


print(f"{GREEN}ready{END}", flush=True)
while True:
    with open(sys.argv[1]) as fifo:
        for line in fifo:
            obey(line.rstrip("\n"))
