"""An agent that prints its arguments, environment, input and limits as JSON."""

import json
import os
import resource
import stat
import sys

with open("/proc/self/oom_score_adj") as file:
    oom = int(file.read())
with open("/proc/self/status") as file:
    ignored = next(line.split()[1] for line in file if line.startswith("SigIgn"))
print(
    json.dumps(
        {
            "argv": sys.argv[1:],
            "env": dict(os.environ),
            "stdin": sys.stdin.read(),
            "stdin_is_device": stat.S_ISCHR(os.fstat(0).st_mode),
            "files": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
            "workdir": os.getcwd(),
            "leads_session": os.getsid(0) == os.getpid(),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "oom": oom,
            "ignored": int(ignored, 16),
        }
    )
)
