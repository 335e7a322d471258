"""The guide (`/guide`): a run and the auto loop, step by step."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import link_button
from app.pages.components.markup import clean
from app.pages.components.testids import testid
from app.pages.shell.frame import frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_projects
from app.state.page.connection import Connection

LINES = """
<ol>
<li><b>Project.</b> You add a git repository: a folder on this machine, or an address. Runyard
keeps a bare clone, the <b>mirror</b>; agents never work in your folder. If you add a folder,
branches and merges go into it, and you push them to its remote yourself. If you add an address,
they go there.</li>
<li><b>Start.</b> <b>New run</b> takes a task in your own words or an issue, a branch to start from,
and a depth. When you press <b>Run</b>, the run is saved and gets an id.</li>
<li><b>Branch.</b> Runyard fetches, then creates the run's branch (<code>afk/12</code> for issue 12,
<code>run/…</code> without one). While that branch exists, no other run takes the issue.</li>
<li><b>Working copy.</b> The run gets a separate clone, prepared by the project's setup command if
there is one.</li>
<li><b>Agent.</b> The agent starts there under a small supervisor, and keeps running when Runyard
restarts.</li>
<li><b>Watch.</b> Timeline and log are live. <b>Stop</b> ends all processes of the run and keeps its
work.</li>
<li><b>Time limit.</b> A run that uses up its time is ended. A run that fails says why, in one
sentence.</li>
<li><b>Delivery.</b> When the agent exits with commits, the project's checks run; then Runyard
pushes the branch and opens a change request, or a pull request at a forge. Only that counts as
success.</li>
<li><b>Review.</b> Merging a change updates the repository and closes the issue. <b>Request
changes</b> sends it back to the agent with your comments.</li>
<li><b>Parked work.</b> Unmerged work is never deleted: it stays parked until you deliver, merge or
discard it.</li>
</ol>
<h2>While you are away</h2>
<ol>
<li><b>Ready.</b> An open issue labelled <code>ready-for-agent</code> may be taken by an agent,
unless its branch exists or an open issue blocks it.</li>
<li><b>Start AFK run.</b> It starts a run for the first such issue.</li>
<li><b>Auto AFK runs: On.</b> The next one starts automatically whenever the last one has ended: the
most urgent first, then in the order you chose, then the lowest number. The list of issues shows
what starts next and why each other issue waits.</li>
<li><b>Pause.</b> After three failed AFK runs in a row, nothing more starts automatically. The card
says <code>Auto paused · 3 fails</code>, with the reason for each.</li>
<li><b>Reset.</b> Read the reasons, fix what has to be fixed, then press <b>Reset</b>: the count is
zero again and the next run starts. A successful run does the same.</li>
</ol>
<p><b>Try the demo project</b>, in the inbox while there are no projects, shows all of this in three
minutes: a delivery, three failures, the pause, Reset, another delivery. So does
<code>runyard demo</code> in a terminal, at any time.</p>
"""


# the steps of the loop, each with the color of its state
LOOP = (
    ("Issue", "labelled ready-for-agent", "idle"),
    ("Run", "an agent works in a copy", "acc"),
    ("Checks", "your commands, before delivery", "wait"),
    ("Change", "you review it", "go"),
    ("Merge", "it is in your repository", "go"),
)
# a line from the last step back to the first one
BACK = "M950 0V22a10 10 0 0 1-10 10H60a10 10 0 0 1-10-10V2m-6 8 6-8 6 8"


def draw_loop() -> None:
    """Draw the loop: its steps in a line, and the way back to the next issue."""
    with testid(ui.element("figure").classes("loop"), "loop"):
        steps = "".join(
            f'<li class="{tone}"><b>{name}</b><span>{words}</span></li>'
            for name, words, tone in LOOP
        )
        ui.html(steps, sanitize=clean, tag="ol")
        with ui.element("svg").props('viewBox="0 0 1000 34" preserveAspectRatio=none') as back:
            back.props("aria-hidden=true")
            ui.element("path").props["d"] = BACK
        words = "Auto AFK runs: On takes the next issue automatically."
        ui.html(words, sanitize=clean, tag="figcaption").classes("sub")


def register(connection: Connection) -> None:
    """Define `/guide`."""

    @page_at("/guide")
    async def guide_page() -> None:
        session = await PageSession.open(connection)
        dress_projects()
        with frame(session, title="How a run works", active="", crumbs=[("Projects", "/projects")]):
            draw_loop()
            is_new = not session.board.listing()
            start = "/projects/add" if is_new else "/projects"
            with ui.element("div").classes("foot start"):
                link_button("Start here", start, kind="pri", mark="start-here")
            ui.html(LINES, sanitize=clean).classes("prose card")
