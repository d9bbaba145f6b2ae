"""`ecohub partner contribution`: what a run's receipt says this side's columns are worth."""

from typing import Any

import click

from federation import contribution, contribution_words
from partner_node.cli_common import Cli, options
from privacy.printable import printable


@click.command("contribution")
@click.argument("run")
@options
def contribution_command(cli: Cli, run: str) -> None:
    """What each partner's columns add in RUN, by the label holder's signed receipt, which this node checked again."""
    found = cli.call("contribution", job=run)
    cli.show(found, lambda: _show_contribution(cli, found))


def _show_contribution(cli: Cli, found: dict[str, Any]) -> None:
    body = found["receipt"]["body"]
    made = contribution.read(body["contribution"], bytes.fromhex(found["job"]))
    cli.table(contribution_words.HOLDERS[cli.lang], contribution_words.holders(made, cli.lang))
    cli.table(contribution_words.heads(made, cli.lang), contribution_words.coalitions(made))
    for note in contribution_words.notes(made, body):
        click.echo(printable(f"- {note[cli.lang == 'zh']}"))


COMMANDS = (contribution_command,)
