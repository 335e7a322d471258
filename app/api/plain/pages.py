"""Script-free pages for sign-in and errors."""

from __future__ import annotations

from html import escape
from string import Template

from starlette.responses import HTMLResponse

from app.errors import OutcomeUnknown, Refusal, StoreUnavailable
from app.logs import correlation

AWAY_SECONDS = 3
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title – Runyard</title>
<link rel="icon" href="data:,">
$more<style>
:root { color-scheme: light dark; }
body { margin: 12vh auto; max-width: 520px; padding: 0 16px; font: 14px/22px system-ui, sans-serif;
  background: light-dark(#f6f6f3, #101113); color: light-dark(#1c1d1f, #ececea); }
.brand { display: flex; align-items: center; gap: 8px; margin: 0 0 12px; font-weight: 600; }
.brand svg { width: 16px; height: 16px; }
main { padding: 20px 24px; border-radius: 12px; border: 1px solid light-dark(#e2e0d9, #2a2c30);
  background: light-dark(#fff, #18191c); overflow-wrap: anywhere; }
h1 { margin: 0 0 12px; font: 600 20px/28px system-ui, sans-serif; }
p { margin: 0 0 12px; }
a { color: light-dark(#2f5bea, #7f9cff); }
code { font: 12px/20px ui-monospace, Menlo, Consolas, monospace; border-radius: 4px; padding: 1px 4px;
  background: light-dark(#efeeea, #0b0c0d); }
.command { display: block; padding: 8px 12px; border-radius: 8px; }
form { margin: 0 0 16px; }
label { display: block; margin: 0 0 12px; font-weight: 600; }
input { display: block; box-sizing: border-box; width: 100%; margin: 4px 0 0; padding: 8px 10px;
  font: 14px/22px system-ui, sans-serif; border-radius: 8px;
  border: 1px solid light-dark(#b9b7af, #4a4d53);
  background: light-dark(#fff, #101113); color: inherit; }
button, .button { display: inline-block; padding: 8px 16px; border: 1px solid transparent;
  border-radius: 8px; font: 600 14px/22px system-ui, sans-serif; cursor: pointer;
  text-decoration: none; background: #2f5bea; color: #fff; }
.button { background: none; color: inherit; border-color: light-dark(#b9b7af, #4a4d53); }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid #7f9cff;
  outline-offset: 2px; }
.wrong { color: light-dark(#c0352b, #ff8a80); }
.reference { margin: 16px 0 0; font-size: 12px; color: light-dark(#666560, #a09f9a); }
</style>
</head>
<body>
<p class="brand"><svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="3.5" cy="3.5" r="3.5"
fill="#0e7250"/><circle cx="12.5" cy="3.5" r="3.5" fill="#a15c00"/><circle cx="3.5" cy="12.5" r="3.5"
fill="#c0352b"/><circle cx="12.5" cy="12.5" r="3.5" fill="#2f5bea"/></svg>Runyard</p>
<main>
<h1 data-testid="plain-title">$title</h1>
$body
<p class="reference">Reference: <code>$correlation</code></p>
</main>
</body>
</html>
""")  # noqa: E501
_HOW = """<p>In a terminal on the machine where Runyard runs, enter</p>
<p><code class="command">$command</code></p>
<p>and open the link it prints. A link works once, within five minutes.</p>"""
_OF_THE_MACHINE = "<p>Or as the operator of this machine:</p>"
LOGIN_COMMAND = "runyard login-link"


def _page(status: int, title: str, body: str, more: str = "") -> HTMLResponse:
    text = _PAGE.substitute(
        title=escape(title), body=body, more=more, correlation=escape(correlation.get())
    )
    return HTMLResponse(text, status)


def _how(sentence: str, command: str) -> str:
    return f"{sentence}\n{_HOW.replace('$command', escape(command))}"


def sign_in_page(
    command: str,
    *,
    after_form: bool = False,
    with_password: bool = False,
    provider: str | None = None,
) -> HTMLResponse:
    """Build the 401 page on how to sign in: by `command`, with a password, or at a provider.

    `after_form` adds that the submitted form changed nothing.
    """
    if with_password or provider is not None:
        lost = "<p>Nothing was changed by what you sent.</p>" if after_form else ""
        elsewhere = _provider_link(provider) if provider is not None else ""
        form = _password_form() if with_password else _how(_OF_THE_MACHINE, command)
        return _page(401, "Sign in", f"{lost}{elsewhere}{form}")
    lost = " Nothing was changed by what you sent." if after_form else ""
    sentence = f"<p>You are not signed in to Runyard in this browser.{lost}</p>"
    return _page(401, "Sign in", _how(sentence, command))


def refused_sign_in_page(refusal: Refusal) -> HTMLResponse:
    """Build the page of a sign-in at the provider that did not work, with the way to another."""
    sentence = f"<p>{escape(refusal.detail)}</p>"
    again = '<p><a class="button" href="/login">Back to sign-in</a></p>'
    answer = _page(refusal.status, "You were not signed in", f"{sentence}\n{again}")
    if "retry_after" in refusal.members:
        answer.headers["Retry-After"] = str(refusal.members["retry_after"])
    return answer


def _provider_link(host: str) -> str:
    return f"""<p><a class="button" href="/login/oidc" data-testid="sign-in-provider">Sign in with
{escape(host)}</a></p>"""


def stale_link_page(command: str) -> HTMLResponse:
    """Build the 401 page for a used, expired or unknown link, with how to get another."""
    sentence = "<p>This sign-in link was already used, is too old, or is not one of ours.</p>"
    return _page(401, "This link no longer works", _how(sentence, command))


def wrong_password_page(refusal: Refusal, email: str) -> HTMLResponse:
    """Build the page of a refused sign-in, with the form once more."""
    wrong = f'<p class="wrong" role="alert">{escape(refusal.detail)}</p>'
    answer = _page(refusal.status, "Sign in", f"{wrong}{_password_form(email)}")
    if "retry_after" in refusal.members:
        answer.headers["Retry-After"] = str(refusal.members["retry_after"])
    return answer


def invitation_page(token: str, email: str, wrong: str = "", *, status: int = 200) -> HTMLResponse:
    """Build the page on which an invited person sets a password."""
    problem = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    body = f"""{problem}<form method="post" action="/login/invitation">
<input type="hidden" name="token" value="{escape(token)}">
<label>E-mail address<input name="email" value="{escape(email)}" readonly
autocomplete="username"></label>
<label>New password, at least 12 characters<input type="password" name="password" required
minlength="12" maxlength="1000" autocomplete="new-password" autofocus></label>
<button data-testid="set-password">Set the password and sign in</button>
</form>"""
    return _page(status, "Welcome to Runyard", body)


def _password_form(email: str = "") -> str:
    return f"""<form method="post" action="/login">
<label>E-mail address<input type="email" name="email" value="{escape(email)}" required
maxlength="254" autocomplete="username"{"" if email else " autofocus"}></label>
<label>Password<input type="password" name="password" required maxlength="1000"
autocomplete="current-password"{" autofocus" if email else ""}></label>
<label>One-time code, if you use them<input name="code" maxlength="40" inputmode="numeric"
autocomplete="one-time-code"></label>
<button data-testid="sign-in">Sign in</button>
</form>"""


def lost_page() -> HTMLResponse:
    """Build the 404 page."""
    sentence = '<p>No page has this address. <a href="/">To the projects</a></p>'
    return _page(404, "There is nothing here", sentence)


def fault_page() -> HTMLResponse:
    """Build the 500 page of an internal fault: only the correlation id, which leads to the log."""
    sentence = "<p>The log has the details under the reference below.</p>"
    return _page(500, "Something went wrong in Runyard", sentence)


def away_page(refusal: StoreUnavailable) -> HTMLResponse:
    """Build the 503 page of an unavailable store; it reloads itself, with or without scripts."""
    seconds = int(refusal.members.get("retry_after", 0)) + AWAY_SECONDS
    running = "<p>Agents keep running. This page reloads automatically.</p>"
    sentence = f"<p>{escape(refusal.detail)}</p>\n{running}"
    again = f'<meta http-equiv="refresh" content="{seconds}">\n'
    answer = _page(503, "This cannot be shown just now", sentence, again)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def refusal_page(refusal: Refusal) -> HTMLResponse:
    """Build the page of a refused form: the reason, and a link to a fresh form."""
    sentence = f'<p>{escape(refusal.detail)}</p>\n<p><a href="/plain">To the projects</a></p>'
    is_known = not isinstance(refusal, OutcomeUnknown)
    title = "Nothing was changed" if is_known else "It is not known whether this was done"
    answer = _page(refusal.status, title, sentence)
    if "retry_after" in refusal.members:
        answer.headers["Retry-After"] = str(refusal.members["retry_after"])
    return answer
