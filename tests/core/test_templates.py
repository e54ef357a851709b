"""Placeholders: what is replaced, what stays as it is, and what is an error."""

from collections.abc import ItemsView

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.core.templates import expand

ENV = {"NAME": "Ada", "EMPTY": "", "ZERO": "0"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("hi ${env.NAME}!", "hi Ada!"),
        ("${ env.NAME }", "Ada"),
        ("${env['NAME']}", "Ada"),
        ("[${env.NOPE}]", "[]"),
        ("${env.NOPE || 'x'}", "x"),
        ('${env.EMPTY || "y"}', "y"),
        ("[${env.EMPTY ?? 'y'}]", "[]"),
        ("${env.NOPE ?? 'y'}", "y"),
        ("${env.NAME ? 'b' : 'c'}", "b"),
        ("${env.NOPE ? 'b' : 'c'}", "c"),
        ("${!env.NOPE ? env.NAME : ''}", "Ada"),
        ("${env.ZERO ? 'text is true' : 'x'}", "text is true"),
        ("${'a' + env.NAME + 1 + 2}", "aAda12"),
        ("${1 + 2}", "3"),
        ("${env.NAME == 'Ada' && 'yes'}", "yes"),
        ("${env.NAME !== 'Ada'}", "false"),
        ("${env.A ? env.B ? 1 : 2 : (3)}", "3"),
        ("${'}'}", "}"),
        ("${'it\\'s'}", "it's"),
        ("${`back`}", "back"),
        ("${env.NAME.length}", "3"),
        ("${env.NAME.toUpperCase()}", "ADA"),
        ("$NAME and ${NAME}", "$NAME and ${NAME}"),
        ("${args[0]}", "${args[0]}"),
        ("${shell({cmd: 'id'})}", "${shell({cmd: 'id'})}"),
        ("${env.NAME.constructor('x')}", "${env.NAME.constructor('x')}"),
        ("${env.NOPE.length}", "${env.NOPE.length}"),
        ("${} ${ ${env.NAME}", "${} ${ Ada"),
        ("${env.NAME", "${env.NAME"),
        ("${while(1){}}", "${while(1){}}"),
        ("a $ b $$ {x}", "a $ b $$ {x}"),
        ("${" + "(" * 100 + "1" + ")" * 100 + "}", "${" + "(" * 100 + "1" + ")" * 100 + "}"),
        ("${1" + "+1" * 400 + "}", "${1" + "+1" * 400 + "}"),
    ],
)
def test_templates(text: str, expanded: str) -> None:
    assert expand(text, ENV) == expanded


def test_what_comes_out_is_not_read_again() -> None:
    assert expand("${env.A}", {"A": "${env.B}", "B": "x"}) == "${env.B}"


def test_headers_with_dashes_and_what_callers_put_into_them() -> None:
    headers = {"x-token": "${env.NAME}", "x": "5"}
    assert expand("${headers.X-Token} [${headers.X-Nope}] ${ headers.x-token }", ENV, headers) == (
        "${env.NAME} [] ${env.NAME}"
    )


def test_headers_are_found_in_any_case() -> None:
    headers = {"x-token": "t", "authorization": "Bearer b"}
    assert expand("${headers.Authorization} ${headers['X-Token']} ${headers.X_Token}", {}, headers) == "Bearer b t t"
    assert expand("[${headers.None}]", {}, headers) == "[]"
    assert expand("${headers.X}", {}) == "${headers.X}"


def test_only_the_headers_that_are_named_are_read() -> None:
    read: list[str] = []

    class Watched(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            read.append(name)
            return super().__getitem__(name)

        def items(self) -> ItemsView[str, str]:
            return {name: self[name] for name in self}.items()

    headers = Watched({"Host": "127.0.0.1", "X-Tenant": "blue"})
    assert expand("http://127.0.0.1/", {}, headers) == "http://127.0.0.1/" and read == []
    assert expand("${headers.x_tenant} ${headers.x-tenant}", {}, headers) == "blue blue"
    assert set(read) == {"X-Tenant"}


_pieces = st.sampled_from(
    [
        "${",
        "}",
        "env",
        ".",
        "NAME",
        "[",
        "]",
        "(",
        ")",
        "'",
        '"',
        "||",
        "??",
        "?",
        ":",
        "!",
        "+",
        " ",
        "1",
        "args",
        "{",
        ",",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_pieces | st.text(max_size=2), max_size=40).map("".join))
def test_any_text_expands(text: str) -> None:
    assert isinstance(expand(text, ENV, {}), str)
