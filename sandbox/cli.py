"""The root command `ecohub`: a table of roles, each imported only when it is used.

`ecohub --help` reads the table alone, so a regulator's laptop loads no Flower and no database. Expected errors end here
as `CODE: sentence` on stderr, in the language of `--lang` or ECOHUB_LANG, with the exit code of their kind.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import click

from privacy.errors import Failure, Kind

ROLES = {
    "demo": ("sandbox.demo:demo", "the main job, end to end, on this machine", "在本机完整演示主流程"),
    "doctor": ("partner_node.doctor:doctor", "what is wrong here, and how to mend it", "诊断安装与连接并给出修复办法"),
    "partner": (
        "partner_node.cli:partner",
        "a partner's own node: enrol, publish, approve, check, sign",
        "合作伙伴节点",
    ),
    "data": ("hub.cli_data:data", "the broker's data team: match clients, train profiles", "数据团队：求交与联合训练"),
    "finance": (
        "hub.cli_finance:finance",
        "agreements, statements, settlement, payments",
        "财务：协议、结算单、结算、付款",
    ),
    "regulator": ("sandbox.regulator:regulator", "examine evidence without trusting the hub", "监管：独立核验证据包"),
    "sandbox": ("sandbox.cli:sandbox", "sandbox chain, synthetic and public data", "沙盒：链、合成数据、公开数据"),
    "hub": ("hub.cli:hub", "run and administer the hub", "运行与管理联盟枢纽"),
}
SANDBOX = {
    "chain": (
        "sandbox.chain.cli:chain",
        "the sandbox chain: begin, serve, verify, settlement contract",
        "沙盒链：创建、运行、校验、结算合约",
    ),
    "synthetic": ("sandbox.synthetic:synthetic", "write a seeded synthetic alliance", "生成合成联盟数据"),
    "import-scf": (
        "sandbox.scf:import_scf",
        "convert the Survey of Consumer Finances 2022",
        "转换公开的消费者财务调查数据",
    ),
    "banks": (
        "sandbox.banks.sources:banks",
        "write banks with the same columns and different clients",
        "生成同列异客的多家银行数据",
    ),
    "retail": (
        "sandbox.retail:retail",
        "settle a year of real shop orders to the last thousandth",
        "结算一年真实订单，精确到千分之一",
    ),
    "commission": (
        "sandbox.commission:commission",
        "write referrals and a month of commission events",
        "生成转介与佣金事件",
    ),
    "trial": ("sandbox.trial:trial", "price the same months under two agreement versions", "两版协议试算同一批月份"),
}
DEBUG = "ECOHUB_DEBUG"


class RoleUnavailable(Failure):
    code = "ROLE_UNAVAILABLE"
    kind = Kind.UNAVAILABLE
    en = "the command {role} can't be loaded here: {missing} is missing; install the package with all its dependencies"
    zh = "本机无法加载命令 {role}：缺少 {missing}；请安装完整依赖"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used; its help reads the table alone."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name][0].split(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise RoleUnavailable(role=cmd_name, missing=str(error.name)) from None
        assert isinstance(command, click.Command), f"{module}:{attribute} is not a command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        column = 2 if language(sys.argv[1:], os.environ) == "zh" else 1
        with formatter.section("命令" if column == 2 else "Commands"):
            formatter.write_dl([(name, row[column]) for name, row in self.table.items()])

    def invoke(self, ctx: click.Context) -> int:
        super().invoke(ctx)
        return 0  # a command's return value is not an exit code; ctx.exit(n) is


@click.group(cls=LazyGroup, table=ROLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lang", type=click.Choice(["en", "zh"]), help="language of messages (also ECOHUB_LANG)")
@click.version_option(package_name="ecohub", message="%(package)s %(version)s")
def ecohub(lang: str | None) -> None:
    """Open service alliance: match clients, train profiles and share revenue without moving raw data."""
    if lang is not None:
        os.environ["ECOHUB_LANG"] = lang


@click.group(cls=LazyGroup, table=SANDBOX)
def sandbox() -> None:
    """The alliance in a box: its chain and its data. No person stands behind any synthetic record."""


def language(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """ "zh" or "en": the last --lang on the command line, else ECOHUB_LANG, else English."""
    chosen = environment.get("ECOHUB_LANG", "en")
    for argument, following in pairwise([*arguments, ""]):
        if argument == "--lang":
            chosen = following
        elif argument.startswith("--lang="):
            chosen = argument.removeprefix("--lang=")
    return "zh" if chosen == "zh" else "en"


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code (ARCHITECTURE section 6)."""
    try:
        return int(ecohub.main(list(arguments), prog_name="ecohub", standalone_mode=False) or 0)
    except Failure as failure:
        return report(failure, language(arguments, os.environ))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        return 0  # the reader of our output has left
    except Exception as error:  # the last edge: an unknown error's text may hold data, so only its type is shown
        if os.environ.get(DEBUG):
            traceback.print_exc()
        click.echo(f"INTERNAL: unexpected {type(error).__name__}; {DEBUG}=1 shows where", err=True)
        return 4


def report(failure: Failure, lang: str) -> int:
    """Print `CODE: sentence` to stderr; the exit code of its kind."""
    from ecowire import status  # pulls in gRPC; --help must not

    click.echo(f"{status.code_of(failure)}: {failure.message(lang)}", err=True)
    return status.EXIT_CODE[status.kind_of(failure)]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
