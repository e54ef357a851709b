"""Vertex AI: its addresses, and tokens from the application default credentials."""

import base64
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import msgspec
import pytest

from fakes import post
from fakes.post import Post
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, ModelFailed
from roost.core.messages import Message
from roost.ports import ModelRequest, TextPiece
from roost.providers import vertex
from roost.providers.references import Models, open_models

pytestmark = pytest.mark.anyio

PLACE = {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "proj", "GOOGLE_CLOUD_LOCATION": "europe-west4"}
TEAM = Team("a", "h", (Agent("root", model="google/gemini-2.5-flash"),))
ANSWER = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}


class Wire:
    """A network that keeps what is sent, and answers with a word."""

    def __init__(self) -> None:
        self.sent: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        return httpx2.Response(200, json=ANSWER)


@pytest.fixture
def google() -> Iterator[Post]:
    with post.serve() as server:
        server.answers["/token"] = [(200, {"access_token": "ya29.one", "expires_in": 3600})]
        yield server


async def ask(models: Models, ref: str = "google/gemini-2.5-flash", team: Team = TEAM) -> str:
    async with aclosing(models.provider(team, ref).stream(ModelRequest((Message("user", "x"),)))) as stream:
        return "".join([piece.text async for piece in stream if isinstance(piece, TextPiece)])


def kept(folder: Path, **credentials) -> dict[str, str]:
    path = folder / "adc.json"
    path.write_bytes(msgspec.json.encode(credentials))
    return {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}


async def test_a_person_s_login_is_refreshed_once(google: Post, tmp_path: Path) -> None:
    person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "1//r"}
    env = kept(tmp_path, **person, token_uri=f"{google.url}/token", quota_project_id="bill-me")
    wire = Wire()
    async with open_models(env, wire.transport) as models:
        assert models.missing(TEAM, ["root"]) == []
        assert [await ask(models) for _ in range(2)] == ["hi", "hi"]
    (exchange,) = google.requests
    assert parse_qs(exchange["body"]) == {
        "grant_type": ["refresh_token"],
        "client_id": ["c"],
        "client_secret": ["s"],
        "refresh_token": ["1//r"],
    }
    first = wire.sent[0]
    assert str(first.url) == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/proj/locations/europe-west4"
        "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    )
    assert first.headers["authorization"] == "Bearer ya29.one"
    assert first.headers["x-goog-user-project"] == "bill-me"
    assert "x-goog-api-key" not in first.headers


async def test_a_service_account_signs_for_itself(google: Post, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "client_email": "bot@proj.test", "private_key": pem, "private_key_id": "k1"}
    env = kept(tmp_path, **account, token_uri=f"{google.url}/token")
    wire = Wire()
    async with open_models(env, wire.transport) as models:
        assert await ask(models) == "hi"
    form = parse_qs(google.requests[0]["body"])
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, said, signature = (base64.urlsafe_b64decode(part + "==") for part in form["assertion"][0].split("."))
    text = form["assertion"][0].rpartition(".")[0].encode()
    key.public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    assert msgspec.json.decode(head) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    claims = msgspec.json.decode(said)
    assert (claims["iss"], claims["aud"], claims["scope"]) == ("bot@proj.test", f"{google.url}/token", vertex.SCOPE)
    assert claims["exp"] - claims["iat"] == 3600
    assert wire.sent[0].headers["authorization"] == "Bearer ya29.one"


async def test_a_token_that_ends_soon_is_fetched_anew(google: Post, tmp_path: Path) -> None:
    env = kept(tmp_path, type="authorized_user", token_uri=f"{google.url}/token")
    now = 0.0
    maker = vertex.Vertex(env)
    maker._tokens._clock = lambda: now
    google.answers["/token"] = [(200, {"access_token": f"token-{number}", "expires_in": 300}) for number in range(3)]
    seen = []
    for moment in (0.0, 200.0, 250.0, 260.0):
        now = moment
        seen.append((await maker("u", {}, b""))["authorization"])
    assert seen == ["Bearer token-0", "Bearer token-0", "Bearer token-1", "Bearer token-1"]


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ({"type": "external_account"}, "type 'external_account' are not understood"),
        ({"type": "service_account", "private_key": "no key"}, "private key of the Google service account"),
        ({}, "type None"),
    ],
)
async def test_credentials_that_can_t_be_used_say_so(tmp_path: Path, credentials: dict, words: str) -> None:
    async with open_models(kept(tmp_path, **credentials), Wire().transport) as models:
        with pytest.raises(ModelFailed, match=words) as failed:
            await ask(models)
    assert failed.value.kind == "auth"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            (400, {"error": "invalid_grant", "error_description": "secret-1//r"}),
            "auth",
            "Google gave no token: status 400",
        ),
        ((503, {}), "retryable", "Google gave no token: status 503"),
        ((200, {"nothing": 1}), "auth", "no token that can be read"),
        ((200, b"\xff"), "auth", "no token that can be read"),
    ],
)
async def test_a_refusal_tells_no_secret(google: Post, tmp_path: Path, answer, kind: str, words: str) -> None:
    google.answers["/token"] = [answer]
    env = kept(tmp_path, type="authorized_user", token_uri=f"{google.url}/token", refresh_token="1//r")
    async with open_models(env, Wire().transport) as models:
        with pytest.raises(ModelFailed, match=words) as failed:
            await ask(models)
    assert failed.value.kind == kind
    assert "1//r" not in str(failed.value)


async def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    env = {**PLACE, "HOME": str(tmp_path)}
    async with open_models(env, Wire().transport) as models:
        assert models.missing(TEAM, ["root"]) == ["GOOGLE_APPLICATION_CREDENTIALS"]
        with pytest.raises(ModelFailed, match="gcloud auth application-default login") as failed:
            await ask(models)
    assert failed.value.kind == "auth"


async def test_project_and_location_may_stand_in_the_file(google: Post, tmp_path: Path) -> None:
    env = kept(tmp_path, type="authorized_user", token_uri=f"{google.url}/token")
    del env["GOOGLE_GENAI_USE_VERTEXAI"]
    options = {"project": "example.com:p", "location": "global"}
    team = Team(
        "a", "h", (Agent("root", model="m"),), {"m": ModelSpec("m", "google", "gemini-3-pro", "auto", options=options)}
    )
    wire = Wire()
    async with open_models({**env, "GOOGLE_API_KEY": "unused"}, wire.transport, gateway="http://gw.test") as models:
        await ask(models, "m", team)
    assert str(wire.sent[0].url).startswith(
        "https://aiplatform.googleapis.com/v1/projects/example.com:p/locations/global/publishers/google/models/"
    )
    async with open_models({"GOOGLE_GENAI_USE_VERTEXAI": "1", "HOME": str(tmp_path)}, wire.transport) as models:
        assert models.missing(TEAM, ["root"]) == [
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
        ]
        with pytest.raises(BadModel, match="set GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION"):
            models.provider(TEAM, "google/gemini-2.5-flash")


async def test_the_other_api_takes_either_key() -> None:
    wire = Wire()
    for env in ({"GEMINI_API_KEY": "g"}, {"GOOGLE_API_KEY": "a", "GEMINI_API_KEY": "g"}):
        async with open_models(env, wire.transport) as models:
            await ask(models)
    assert [request.headers["x-goog-api-key"] for request in wire.sent] == ["g", "a"]
    assert str(wire.sent[0].url) == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    )
