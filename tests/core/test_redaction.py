"""Secrets are taken out, and programs are left alone."""

import base64
import hashlib
import json
import random
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.redaction import REPLACEMENT as R
from roost.core.redaction import Redactor, secrets_of

PLAIN = Redactor()
MIXED = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        # what issuers make recognisable
        ("id AKIAIOSFODNN7EXAMPLE.", f"id {R}."),
        (f"ghp_{MIXED}", R),
        (f"https://ghp_{MIXED}@github.com/x", f"https://{R}@github.com/x"),
        (f"github_pat_{MIXED}", R),
        (f"glpat-{MIXED[:20]}", R),
        ("xoxb-123456789012-abcdefghijkl", R),
        (f"sk-ant-api03-{MIXED}", R),
        (f"sk-proj-{MIXED}_x-y", R),
        (f"sk-{MIXED}", R),
        ("sk-0123456789abcdef0123456789abcdef", R),
        (f"AIza{MIXED[:35]}", R),
        (f"sk_live_{MIXED}", R),
        (f"npm_{MIXED}", R),
        (f"hf_{MIXED}", R),
        (f"SG.{MIXED[:22]}.{MIXED}", R),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", R),
        ("https://hooks.slack.com/services/T0001/B0001/abcdefghijklmnopqrst", R),
        (rf"\nghp_{MIXED}\n", rf"\n{R}\n"),
        # private keys, whole, in JSON, and cut off
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{KEY * 9}-----END RSA PRIVATE KEY-----\nb", f"a\n{R}\nb"),
        (json.dumps(f"-----BEGIN PRIVATE KEY-----\n{KEY}-----END PRIVATE KEY-----\n"), json.dumps(f"{R}\n")),
        (f"-----BEGIN EC PRIVATE KEY-----\n{KEY * 3}", R),
        (f"-----BEGIN PRIVATE KEY-----\n{KEY}[... left out ...]", f"{R}[... left out ...]"),
        # what logs in
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {R}"),
        ("curl -H 'authorization: token abcdefghijk' x", f"curl -H 'authorization: token {R}' x"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', f'{{"Authorization": "Basic {R}"}}'),
        ("Bearer abcdefghijklmnopqrstuv1234", f"Bearer {R}"),
        ("postgres://bob:hunter2@db/x", f"postgres://bob:{R}@db/x"),
        # what is called a secret
        ("password=hunter2", f"password={R}"),
        ("PASSWORD=supersecret", f"PASSWORD={R}"),
        ("export DB_PASSWORD=swordfish\nx", f"export DB_PASSWORD={R}\nx"),
        ("mysql --password=swordfish -u me", f"mysql --password={R} -u me"),
        ("http://x/?password=swordfish&y=1", f"http://x/?password={R}&y=1"),
        ("password: hunter2\n", f"password: {R}\n"),
        ('{"password": "hunter2"}', f'{{"password": "{R}"}}'),
        (r"{\"api_key\": \"abcdef123456\"}", rf"{{\"api_key\": \"{R}\"}}"),
        ("[mysql]\npassword = hunter2\n", f"[mysql]\npassword = {R}\n"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            f"aws_secret_access_key = {R}",
        ),
        ('token: "0123456789abcdef01"', f'token: "{R}"'),
        ("client_secret='a1b2c3d4'", f"client_secret='{R}'"),
    ],
)
def test_secrets(text: str, clean: str) -> None:
    assert PLAIN.text(text) == clean
    assert PLAIN.text(clean) == clean
    assert PLAIN.text(f"before {text}" if not text.startswith("[") else text).endswith(clean)


@pytest.mark.parametrize(
    "text",
    [
        "password = get_password()",
        "password: str",
        "def f(password=None, token=x, api_key: str = ''):",
        "connect(user=user, password=password)",
        "login(password=self.password)",
        "f(\n    password=password\n)",
        'api_key=os.environ["OPENAI_API_KEY1"]',
        "api_key = settings.api_key2.value",
        "MAX_TOKENS=4096",
        "max_tokens: 16000",
        '"nextPageToken": "CAUQAA1234567890abcd"',
        'password: "Password is required"',
        '"password": "Passwort"',
        'const token = "access_token";',
        'token = request.headers["x-token-1"]',
        "password: int32",
        "if password == other.password1:",
        "DB_PASSWORD=$OTHER_PASSWORD1",
        "password=${PASSWORD1}",
        'password: "<your-password-1>"',
        "password=****",
        "postgres://user:password@host/db",
        "postgres://${USER}:${PASS1}@host/db",
        "http://localhost:8080/a@b",
        "secretName: my-secret-1",
        "sk-estimator-id-12345 sk-folding-cube-container-extra",
        'BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"\nEND = b"-----END OPENSSH PRIVATE KEY-----"',
        "-----BEGIN PUBLIC KEY-----\n" + KEY,
        "-----BEGIN CERTIFICATE-----\n" + KEY,
        "The authorization: required for this",
        str(uuid.UUID(int=2**127 + 12345)),
        hashlib.sha256(b"x").hexdigest(),
        "commit " + hashlib.sha1(b"x").hexdigest(),
        "integrity sha512-" + base64.b64encode(hashlib.sha512(b"x").digest()).decode(),
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert PLAIN.text(text) == text


def test_a_picture_stays_as_it_is() -> None:
    bytes_ = random.Random(1).randbytes(600_000)
    text = "data:image/png;base64," + base64.b64encode(bytes_).decode()
    assert PLAIN.text(text) == text


def test_the_programs_of_this_house_stay_as_they_are() -> None:
    for path in Path(__file__).parents[2].joinpath("src").rglob("*.py"):
        text = path.read_text()
        assert PLAIN.text(text) == text, path


@pytest.mark.parametrize(
    "unit", ["token=a", "sk-", " sk-a", "-----BEGIN PRIVATE KEY-----", " eyJa", "password='a", "://a:"]
)
def test_what_repeats_itself_takes_no_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    assert len(PLAIN.text(text)) <= len(text)


@given(st.text(max_size=200))
def test_any_text_is_taken_and_what_is_clean_stays_clean(text: str) -> None:
    once = PLAIN.text(text)
    assert PLAIN.text(once) == once


# -- secrets that are known ---------------------------------------------------------------------


def test_known_secrets_go_in_any_spelling() -> None:
    redactor = Redactor({'sword"fish/ü', "swordfish", "short", "swordfish and more"})
    assert redactor.text("swordfish and more, swordfish") == f"{R}, {R}"
    assert redactor.text(json.dumps('x sword"fish/ü')) == f'"x {R}"'
    assert redactor.text("x=sword%22fish%2F%C3%BC") == f"x={R}"
    assert redactor.text("short") == "short"


@given(st.text(min_size=6, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_known_secret_is_never_left(secret: str, before: str, after: str) -> None:
    clean = Redactor({secret}).text(f"{before}{secret}{after}")
    assert secret not in clean.replace(R, "\0")


def test_secrets_of_an_environment() -> None:
    env = {
        "OPENAI_API_KEY": "abcdefgh",
        "GH_TOKEN": "token-of-github",
        "MY_TOKEN_2": "token-of-mine",
        "DB_PASSWORD": "correct horse",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "NPM_AUTH": "bob:hunter2",
        "DATABASE_PASSWORD_FILE": "secret-file-name",
        "PWD": "/home/bob/work",
        "OLDPWD": "oldpwd-oldpwd",
        "SSH_AUTH_SOCK": "/run/ssh.sock",
        "MAX_TOKENS": "123456789",
        "TOKEN_LIMIT": "abcdefghij",
        "SHORT_TOKEN": "abc",
        "KEY_URL": "https://example.com",
        "SIGNING_KEY": "/etc/key.pem",
        "AUTH_TOKEN": "disabled",
        "KEYBOARD": "qwertyuiop",
    }
    names = {"OPENAI_API_KEY", "GH_TOKEN", "MY_TOKEN_2", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "NPM_AUTH"}
    assert secrets_of(env) == {env[name] for name in names}


# -- data ---------------------------------------------------------------------------------------


def test_data() -> None:
    data = {
        "password": "correct horse",
        "api_key": "k1234",
        "token": "x",
        "next_token": "CAUQAA1234567890abcd",
        "session_token": "CAUQAA1234567890abcd",
        "cmd": "curl -u bob --password=swordfish",
        "list": [{"Authorization": "anything"}, 1, None, True, "plain"],
        "max_tokens": 10,
    }
    assert PLAIN.data(data) == data | {
        "password": R,
        "api_key": R,
        "session_token": R,
        "cmd": f"curl -u bob --password={R}",
        "list": [{"Authorization": R}, 1, None, True, "plain"],
    }


def test_what_lies_too_deep_is_taken_out() -> None:
    deep: object = "password=hunter2"
    for _ in range(900):
        deep = [deep]
    assert "hunter2" not in json.dumps(PLAIN.data(deep))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{ "cmd":  "ls" }', '{ "cmd":  "ls" }'),
        ('{"password": "swordfish"}', f'{{"password": "{R}"}}'),
        ('{"cmd": "password=hunter2"', f'{{"cmd": "password={R}"'),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_arguments_of_a_call(arguments: str, expected: str) -> None:
    assert PLAIN.arguments(arguments) == expected
