"""What an agent file asks of the CLI that plays one of its agents: pinned when a turn opens."""

from msgspec.structs import replace

from roost.core.agents import Agent, Harness, Team
from roost.core.errors import AgentBroken, BadModel
from roost.core.orders import Order
from roost.core.session import Head
from roost.core.templates import expand
from roost.engine.runtime import Makers, guided
from roost.ports import Driver


def player(makers: Makers, team: Team, agent: Agent, cli: Harness) -> Driver:
    """The driver that plays an agent.

    Raises:
        AgentBroken: there is none for what the file wants.
    """
    if (driver := makers.drivers.get(cli.driver)) is None:
        known = ", ".join(sorted(makers.drivers)) or "none"
        raise AgentBroken(
            f"agent {agent.name!r} of {team.source} wants the harness {cli.driver!r}, and there is no such agent CLI "
            f"here (known: {known})"
        )
    return driver


def model_of(driver: Driver, head: Head, agent: Agent, cli: Harness, asked: str = "") -> str:
    """The model: what is asked for now, else the session's choice where that can be, else the file's.

    It may be named as the CLI does, or with the CLI's name and a slash before it.

    Raises:
        BadModel: the one that is used is none.
    """
    chosen = head.model_overrides.get(agent.name, "")
    if not asked and chosen:
        try:
            return _known(driver, cli, chosen)
        except BadModel:
            return _known(driver, cli, cli.model)
    return _known(driver, cli, asked or cli.model)


def _known(driver: Driver, cli: Harness, name: str) -> str:
    name = name.removeprefix(f"{cli.driver}/")
    if name:
        driver.model(name)
    return name


async def wanted(
    makers: Makers, agent: Agent, cli: Harness, *, model: str, working_dir: str, turns: int, confined: bool
) -> Order:
    """The order of an agent file; its `env` still has placeholders, since facts hold no secrets of ours."""
    guidance = await guided(makers, agent, working_dir, confined=confined)
    told = (agent.instruction, guidance.date, guidance.environment, *guidance.files)
    return Order(
        provider=cli.driver,
        model=model,
        working_dir=working_dir,
        add_dirs=cli.add_dirs,
        system_prompt="\n\n".join(text for text in told if text.strip()),
        max_turns=turns,
        env=cli.env,
        effort=cli.effort,
        agent=cli.agent,
        roost_tools=cli.roost_tools,
    )


def merged(makers: Makers, own: Order, asked: Order) -> Order:
    """The order of an agent file, and what a caller who spawned the session wanted besides."""
    told = (own.system_prompt, asked.system_prompt)
    return replace(
        asked,
        provider=own.provider,
        model=own.model,
        working_dir=own.working_dir,
        add_dirs=tuple(dict.fromkeys((*own.add_dirs, *asked.add_dirs))),
        system_prompt="\n\n".join(text for text in told if text.strip()),
        max_turns=own.max_turns or asked.max_turns,
        env={**{name: expand(text, makers.env) for name, text in own.env.items()}, **asked.env},
        effort=own.effort,
        agent=own.agent,
        roost_tools=own.roost_tools or asked.roost_tools,
    )


def same_file(one: str, other: str) -> bool:
    """Whether two ids are spellings of one agent file's."""
    return _bare(one) == _bare(other)


def _bare(source: str) -> str:
    return source.removesuffix(".yaml").removesuffix(".yml")
