"""Preset for Gemini CLI."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, Renewal, SignIn, Stored
from app.domain.agents.final_output import Failure

_VARIABLES = (
    *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
    *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA", "GOOGLE_GEMINI_BASE_URL"),
)

GEMINI = Preset(
    name="gemini",
    executable="gemini",
    version="0.61.0",
    arguments=(
        *("--output-format", "stream-json"),
        *("--approval-mode", "yolo", "--skip-trust"),
    ),
    model_flag="-m",
    stream="gemini",
    install="npm install -g @google/gemini-cli",
    floor="0.61.0",
    sign_in=SignIn(
        mend="Run `gemini` and sign in as the server's user, or set GEMINI_API_KEY.",
        variables=("GEMINI_API_KEY",),
        files=(Stored("oauth_creds.json", "~/.gemini", holds=("token",)),),
        # a sign-in method was chosen, but its keys are stored out of sight
        doubts=(
            Stored("settings.json", "~/.gemini", holds=("selectedType", "selectedAuthType")),
            Stored("gemini-credentials.json", "~/.gemini"),
            Stored(".env", "~/.gemini"),
            Stored(".env", "~"),
        ),
        doubtful_variables=(
            *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA", "GOOGLE_GEMINI_BASE_URL"),
            *("GEMINI_CLI_USE_COMPUTE_ADC", "CLOUD_SHELL"),
        ),
        repository_doubts=(".env", ".gemini/.env", ".gemini/settings.json"),
        is_whole=True,
        lent=(
            Lent(
                *("oauth_creds.json", "~/.gemini"),
                renewal=Renewal(
                    fields=("access_token", "refresh_token", "id_token", "expiry_date"),
                    newest="expiry_date",
                    unsteady=("scope",),
                ),
            ),
            Lent(
                *("settings.json", "~/.gemini"),
                only=("security.auth.selectedType", "selectedAuthType"),
            ),
            Lent("gemini-credentials.json", "~/.gemini"),
            Lent("google_accounts.json", "~/.gemini"),
            Lent(".env", "~/.gemini", only=_VARIABLES),
            Lent(".env", "~", only=_VARIABLES),
        ),
        lent_variables=("GOOGLE_APPLICATION_CREDENTIALS",),
    ),
    # it accepts a session's position in a list, not its name
    continue_arguments=("--resume", "latest"),
    exit_codes=(
        (41, "it is not signed in"),
        (42, "it refused its input"),
        (44, "its sandbox failed"),
        (52, "its configuration is wrong"),
        (53, "it has used up its turns"),
        (54, "one of its tools failed"),
        (55, "it does not trust the working copy"),
        (130, "it was cancelled"),
    ),
    exit_failures=((41, Failure.AUTH),),
    limit_messages=(
        r"You have exhausted your (?:daily quota|capacity)",
        r"Usage limit reached for (?P<family>[\w.-]{1,80}\w)",
        r"Usage limit reached for ",
    ),
    # for keys, for accounts, and for the renewal of an account's sign-in
    hosts=(
        *("generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"),
        *("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"),
    ),
    root_environment=(("GEMINI_SANDBOX", "false"),),
    environment=(
        *_VARIABLES,
        *("GOOGLE_APPLICATION_CREDENTIALS", "GEMINI_CLI_USE_COMPUTE_ADC", "CLOUD_SHELL"),
    ),
)
