"""The banner shown while the stores cannot be written."""

from __future__ import annotations

from nicegui.testing.user import User

from tests.pages.conftest import House, html_of, until

SENTENCE = "The disk <fails>: nothing is written any more. Look at the disk."
SHOWN = "The disk &lt;fails&gt;: nothing is written any more. Look at the disk."


async def test_a_page_says_that_nothing_can_be_changed_and_when_it_can_again(
    house: House, user: User
) -> None:
    await user.open("/settings")
    assert "stores-banner" not in html_of(user)
    await house.stop_writing(SENTENCE)
    await until(lambda: SHOWN in html_of(user))
    await user.open("/")
    # a page that is opened now says so, too
    await until(lambda: SHOWN in html_of(user))
    house.resume_writing()
    await until(lambda: "stores-banner" not in html_of(user))
