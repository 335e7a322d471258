"""An agent that keeps forking: each process starts the next and ignores TERM; few live at once."""

import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    if os.fork() != 0:
        time.sleep(0.02)
        os._exit(0)
    os.setsid()
    time.sleep(0.01)
