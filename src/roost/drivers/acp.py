"""Any CLI that speaks the Agent Client Protocol: one row of a table is a driver."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from roost.core.capabilities import Capability
from roost.drivers import models
from roost.drivers.addresses import addresses
from roost.drivers.talk import Talk, hello
from roost.drivers.updates import Manners
from roost.ports import Errand, Launch

LIMITS = (r"\b429\b", r"rate.?limit", r"usage limit", r"quota (?:was )?exceeded", r"exceeded your (?:current )?quota")
"""How an agent whose model may be anybody's speaks of a usage limit."""

_TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


class Row(Struct, frozen=True, kw_only=True):
    """A CLI that speaks the protocol, as data."""

    capability: Capability
    program: str
    arguments: tuple[str, ...] = ()
    hint: str
    env: dict[str, str] = {}  # besides what it is given anyway; what the caller sets outweighs it
    asking: dict[str, str] = {}  # likewise, where somebody may be asked
    model_flag: str = ""  # "" chooses the model by the protocol
    dirs_flag: str = ""  # takes one more folder that it may work in
    keeps: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    places: tuple[str, ...] = ()  # variables with the address of its model
    endpoints: tuple[str, ...] = ()  # where none is set
    manners: Manners = Manners()
    limits: tuple[str, ...] = LIMITS


OPENCODE = Row(
    capability=models.OPENCODE,
    program="opencode",
    arguments=("acp",),
    hint="npm install -g opencode-ai",
    env={"OPENCODE_DISABLE_AUTOUPDATE": "true"},
    asking={"OPENCODE_PERMISSION": '{"edit":"ask","bash":"ask","webfetch":"ask","external_directory":"ask"}'},
    keeps=(".config/opencode", ".local/share/opencode", ".local/state/opencode", ".cache/opencode"),
    needs=(
        "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "OPENCODE_CONFIG_CONTENT", "OPENCODE_API_KEY",
        "OPENCODE_AUTH_CONTENT",
        "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD", "OPENCODE_MODELS_URL",
        "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY", "OPENROUTER_API_KEY",
        "GROQ_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY",
    ),
    endpoints=(
        "opencode.ai:443", "models.dev:443", "api.anthropic.com:443", "api.openai.com:443",
        "generativelanguage.googleapis.com:443", "openrouter.ai:443",
    ),
    manners=Manners(name_in_title=True, counts="prompt", asks_late=True, deaf=("effort", "agent", "add_dirs")),
)  # fmt: skip

QWEN = Row(
    capability=models.QWEN,
    program="qwen",
    arguments=("--acp", "--approval-mode", "default"),
    hint="npm install -g @qwen-code/qwen-code",
    env=_TERMINAL,
    model_flag="--model",
    dirs_flag="--include-directories",
    keeps=(".qwen",),
    needs=("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "DASHSCOPE_API_KEY", "QWEN_MODEL", "QWEN_BASE_URL"),
    places=("OPENAI_BASE_URL", "QWEN_BASE_URL"),
    endpoints=(
        "chat.qwen.ai:443",
        "portal.qwen.ai:443",
        "dashscope.aliyuncs.com:443",
        "dashscope-intl.aliyuncs.com:443",
    ),
    manners=Manners(lasting=True),
)

ROWS: Mapping[str, Row] = {row.capability.provider: row for row in (OPENCODE, QWEN)}


class Acp:
    """Runs a CLI of the table."""

    def __init__(self, row: Row, *, open_models: bool = False, patterns: Sequence[str] = ()) -> None:
        self._row = replace(row, capability=models.opened(row.capability, open_models))
        self._patterns = (*row.limits, *patterns)

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._row.capability

    @property
    def program(self) -> str:
        """The program to look for."""
        return self._row.program

    @property
    def hint(self) -> str:
        """How a person installs it."""
        return self._row.hint

    @property
    def keeps(self) -> Sequence[str]:
        """Paths below HOME."""
        return self._row.keeps

    @property
    def needs(self) -> Sequence[str]:
        """Variables that it may be given."""
        return self._row.needs

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """The model that the environment names, else those of its vendor."""
        return addresses(env, self._row.places, self._row.endpoints)

    def model(self, name: str, size: str = "") -> str:
        """A name of the table, or any where the CLI's models are somebody else's."""
        return models.resolve(self._row.capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """The CLI as a server of the protocol; the prompt comes by its stdin."""
        row = self._row
        argv = [errand.program, *row.arguments]
        if row.model_flag and errand.model:
            argv += [row.model_flag, errand.model]
        if row.dirs_flag:
            argv += [word for folder in errand.add_dirs for word in (row.dirs_flag, folder)]
        asking = {} if errand.auto_approve else row.asking
        return Launch(
            argv=tuple(argv), cwd=errand.working_dir, env={**row.env, **asking, **errand.env}, inputs=(hello(),)
        )

    def open(self, errand: Errand) -> Talk:
        """A dialog with it."""
        row = self._row
        choose = "" if row.model_flag else errand.model
        return Talk(errand, row.capability.provider, row.manners, choose=choose, patterns=self._patterns)
