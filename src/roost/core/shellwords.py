"""A shell's command line taken apart: commands, words, redirections, and what could not be read."""

# ruff: noqa: SIM905  (tables of words read as words)

from collections.abc import Iterable

from msgspec import Struct


class ParseError(ValueError):
    """Text that is no complete command line of a POSIX shell."""


class Word(Struct, frozen=True, omit_defaults=True):
    """One word after quotes are taken away.

    `bare` are its characters that stood outside of quotes, where the shell looks for patterns and
    assignments; `dynamic` says that the shell puts something else in its place.
    """

    text: str
    bare: str = ""
    dynamic: bool = False

    @property
    def pattern(self) -> bool:
        """Whether the shell expands it to names of files, or to several words."""
        return any(char in self.bare for char in "*?[{~")


class Redirect(Struct, frozen=True):
    """`operator` is `>`, `>>`, `<`, `<<` and their kin; `target` what follows, for `<<` the text itself."""

    operator: str
    target: Word

    @property
    def writes(self) -> bool:
        """Whether it writes into something other than nothing, or another descriptor."""
        if self.operator in (">&", "<&") and (self.target.text.isdigit() or self.target.text == "-"):
            return False
        return ">" in self.operator and self.target.text != "/dev/null"


class Command(Struct, frozen=True, omit_defaults=True):
    """A simple command.  `piped` says that it reads what the command before it writes."""

    words: tuple[Word, ...] = ()
    assignments: tuple[str, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    piped: bool = False
    background: bool = False
    structured: bool = False  # inside of a group, a loop or a condition


class Line(Struct, frozen=True):
    """All commands of a text, and apart from them the texts that are substituted into words."""

    commands: tuple[Command, ...]
    substitutions: tuple[str, ...] = ()


KEYWORDS = frozenset("if then elif else fi while until do done for case esac in select function { } ! [[ ]]".split())
_OPERATORS = ("&&", "||", ";;", "|&", "&>>", "&>", ";", "|", "&", "\n", "(", ")")
_REDIRECTS = ("<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">&", ">|", ">")


def parse(text: str) -> Line:
    """Take a command line apart.

    Raises:
        ParseError: a quote or a parenthesis is not closed.
    """
    return _Parser(text).line()


class _Parser:
    """One walk from left to right; nothing is looked at twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._substitutions: list[str] = []
        self._commands: list[Command] = []
        self._heredocs: list[tuple[int, str, bool]] = []  # index into _redirects, delimiter, strips tabs
        self._depth = 0
        self._reset(piped=False)

    def _reset(self, *, piped: bool) -> None:
        self._words: list[Word] = []
        self._redirects: list[Redirect] = []
        self._piped = piped

    def line(self) -> Line:
        while self._at < len(self._text):
            self._step()
        self._finish()
        if self._depth:
            raise ParseError("a parenthesis is not closed")
        return Line(tuple(self._commands), tuple(self._substitutions))

    def _step(self) -> None:
        char = self._text[self._at]
        if char in " \t":
            self._at += 1
        elif self._text.startswith("\\\n", self._at):
            self._at += 2
        elif char == "#":
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        elif operator := self._starts(_OPERATORS):
            self._operator(operator)
        elif operator := self._redirect():
            self._take_redirect(operator)
        else:
            self._words.append(self._word())

    def _starts(self, operators: Iterable[str]) -> str:
        return next((operator for operator in operators if self._text.startswith(operator, self._at)), "")

    def _operator(self, operator: str) -> None:
        if operator in ("&>", "&>>"):
            self._take_redirect(operator)
            return
        self._at += len(operator)
        if operator == "(":
            if self._words:  # a function's definition, or a pattern of another shell
                self._words.append(Word("(", bare="(", dynamic=True))
            self._finish()
            self._depth += 1
        elif operator == ")":
            self._finish()
            self._depth = max(self._depth - 1, 0)
        else:
            goes_on = operator == "\n" and self._piped and not self._words  # `a |` and the rest on the next line
            self._finish(background=operator == "&")
            self._piped = goes_on or operator in ("|", "|&")
            if operator == "\n" and self._heredocs:
                self._heredoc_bodies()

    def _finish(self, *, background: bool = False) -> None:
        words = self._words
        structured = bool(self._depth)
        while words and words[0].text in KEYWORDS and words[0].text == words[0].bare:
            structured = True
            words = words[1:]
        assignments = []
        while words and _assigns(words[0]):
            assignments.append(words[0].text)
            words = words[1:]
        if words or assignments or self._redirects:
            self._commands.append(
                Command(tuple(words), tuple(assignments), tuple(self._redirects), self._piped, background, structured)
            )
        elif structured:
            self._commands.append(Command(structured=True))
        self._reset(piped=self._piped and not (words or assignments or self._redirects))

    # -- redirections -------------------------------------------------------------------------------

    def _redirect(self) -> str:
        """The operator here, after the number of a descriptor, if any."""
        ahead = self._at
        while ahead < len(self._text) and self._text[ahead].isdigit():
            ahead += 1
        found = next((operator for operator in _REDIRECTS if self._text.startswith(operator, ahead)), "")
        if not found or self._text.startswith(("<(", ">("), ahead):
            return ""
        self._at = ahead
        return found

    def _take_redirect(self, operator: str) -> None:
        self._at += len(operator)
        while self._text[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1
        if self._at >= len(self._text) or self._text[self._at] in "\n;|&()<>":
            raise ParseError("a redirection leads nowhere")
        target = self._word()
        self._redirects.append(Redirect(operator, target))
        if operator in ("<<", "<<-"):
            self._heredocs.append((len(self._redirects) - 1, target.text, operator == "<<-"))

    def _heredoc_bodies(self) -> None:
        """The bodies follow the line that named them; here all belong to its last command."""
        last = self._commands[-1]
        bodies = []
        for _, delimiter, strips in self._heredocs:
            lines = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line = self._text[self._at : end]
                self._at = min(end + 1, len(self._text))
                if (line.lstrip("\t") if strips else line) == delimiter:
                    break
                lines.append(line)
            bodies.append(Redirect("<<", Word("\n".join(lines), dynamic=True)))
        self._heredocs = []
        others = tuple(r for r in last.redirects if r.operator not in ("<<", "<<-"))
        self._commands[-1] = Command(
            last.words, last.assignments, (*others, *bodies), last.piped, last.background, last.structured
        )

    # -- words --------------------------------------------------------------------------------------

    def _word(self) -> Word:
        text: list[str] = []
        bare: list[str] = []
        dynamic = False
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\n;|&)" or (char in "<>" and not self._text.startswith(("<(", ">("), self._at)):
                break
            if char == "(":
                dynamic = True
                break
            if char == "'":
                end = self._text.find("'", self._at + 1)
                if end < 0:
                    raise ParseError("a quote is not closed")
                text.append(self._text[self._at + 1 : end])
                self._at = end + 1
            elif char == '"':
                dynamic |= self._double(text)
            elif char == "\\":
                self._escaped(text)
            elif char in "$`" or char in "<>":
                dynamic = True
                text.append(self._expansion())
            else:
                text.append(char)
                bare.append(char)
                self._at += 1
        return Word("".join(text), "".join(bare), dynamic)

    def _escaped(self, text: list[str]) -> None:
        following = self._text[self._at + 1 : self._at + 2]
        if following != "\n":
            text.append(following)
        self._at += 2

    def _double(self, text: list[str]) -> bool:
        """What stands between double quotes; whether something is put in its place."""
        dynamic = False
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return dynamic
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\", "\n"):
                self._escaped(text)
            elif char in "$`":
                before = self._at
                text.append(self._expansion())
                dynamic |= self._at - before > 1
            else:
                text.append(char)
                self._at += 1
        raise ParseError("a quote is not closed")

    def _expansion(self) -> str:
        """An expansion as it is written; the commands in it are kept apart."""
        start = self._at
        if self._text[start] == "`":
            end = self._closing_backtick(start + 1)
            self._substitutions.append(self._text[start + 1 : end].replace("\\`", "`"))
            self._at = end + 1
        elif self._text[start + 1 : start + 2] == "(":  # $( <( >(
            end = self._closing(start + 2, "(", ")")
            self._substitutions.append(self._text[start + 2 : end])
            self._at = end + 1
        elif self._text.startswith("${", start):
            end = self._closing(start + 2, "{", "}")
            inner = self._text[start + 2 : end]
            if "$(" in inner or "`" in inner:
                self._substitutions.append(inner.split("$(", 1)[-1].strip("`)"))
            self._at = end + 1
        elif self._text.startswith("$'", start):
            end = start + 2
            while end < len(self._text) and self._text[end] != "'":
                end += 2 if self._text[end] == "\\" else 1
            if end >= len(self._text):
                raise ParseError("a quote is not closed")
            self._at = end + 1
        else:
            self._at = start + 1
            while self._at < len(self._text) and (self._text[self._at].isalnum() or self._text[self._at] == "_"):
                self._at += 1
        return self._text[start : self._at]

    def _closing_backtick(self, at: int) -> int:
        while at < len(self._text):
            if self._text[at] == "`":
                return at
            at += 2 if self._text[at] == "\\" else 1
        raise ParseError("a backtick is not closed")

    def _closing(self, at: int, opening: str, closing: str) -> int:
        """Where the parenthesis closes that opened before `at`, quotes looked past."""
        depth = 1
        while at < len(self._text):
            char = self._text[at]
            if char == "\\":
                at += 1
            elif char in "'\"":
                at = self._closing_quote(at)
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if not depth:
                    return at
            at += 1
        raise ParseError("a parenthesis is not closed")

    def _closing_quote(self, at: int) -> int:
        quote = self._text[at]
        at += 1
        while at < len(self._text) and self._text[at] != quote:
            at += 2 if quote == '"' and self._text[at] == "\\" else 1
        if at >= len(self._text):
            raise ParseError("a quote is not closed")
        return at


def _assigns(word: Word) -> bool:
    name, equals, _ = word.text.partition("=")
    name = name.removesuffix("+")
    return bool(equals) and name.isidentifier() and name.isascii() and word.bare.startswith(name)
