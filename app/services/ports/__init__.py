"""What the services need from the outside, as protocols; `control_plane` picks who answers."""

from app.services.ports.agents import (
    AgentFinding,
    Agents,
    Job,
)
from app.services.ports.counters import (
    Counters,
    CountersSilent,
    Standing,
)
from app.services.ports.forges import (
    ChangeOrder,
    Delivery,
    Forge,
    ForgeSilent,
    Issue,
    TrackerStore,
)
from app.services.ports.processes import (
    Engine,
    LaunchFailed,
    LaunchOrder,
    LogPiece,
    LogView,
    ProcessMark,
    Sight,
)
from app.services.ports.repositories import (
    BranchTaken,
    CannotRead,
    CopyState,
    Diff,
    DiffStat,
    MergeAnswer,
    Mirrors,
    OriginProblem,
    PushAnswer,
    Remote,
    RemoteBranch,
    Repository,
    WorkingCopies,
)

__all__ = [
    "AgentFinding",
    "Agents",
    "BranchTaken",
    "CannotRead",
    "ChangeOrder",
    "CopyState",
    "Counters",
    "CountersSilent",
    "Delivery",
    "Diff",
    "DiffStat",
    "Engine",
    "Forge",
    "ForgeSilent",
    "Issue",
    "Job",
    "LaunchFailed",
    "LaunchOrder",
    "LogPiece",
    "LogView",
    "MergeAnswer",
    "Mirrors",
    "OriginProblem",
    "ProcessMark",
    "PushAnswer",
    "Remote",
    "RemoteBranch",
    "Repository",
    "Sight",
    "Standing",
    "TrackerStore",
    "WorkingCopies",
]
