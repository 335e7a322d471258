from pathlib import Path
import json
from nicegui.testing.user import User
from app.domain.people.roles import Role
from tests.pages.conftest import House
from tests.pages.people.test_controls import fill, join
from tests.drivers.page_controls import controls_of, settled

async def test_list(house: House, user: User, tmp_path: Path) -> None:
    paths = await fill(house, user, tmp_path)
    out = {}
    for role in Role:
        person = await join(house, user, role)
        for page, path in paths.items():
            if (await person.http_client.get(path)).status_code != 200: continue
            await person.open(path)
            client = await settled(person)
            out.setdefault(str(role), {})[page] = {
                name: [sorted(events), name in controls_of(client, hidden=False)] for name, events in controls_of(client).items()}
            client.delete()
    Path("/tmp/p4/tree.json").write_text(json.dumps(out))
