"""Tables on a person's terminal, the same for the hub's people and the partners'."""

from collections.abc import Sequence

from privacy.printable import printable


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Print a table; None is shown as "-". Cells are folded, never cut: people approve by what stands in them, and
    Chinese has no spaces to break at.
    """
    # a tenth of a second that machines need not spend
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    made = Table(*(Column(name, overflow="fold") for name in columns), title=title, title_justify="left")
    for row in rows:
        # as Text: in a plain string rich would take "[conceal]" of a partner for markup
        made.add_row(*(Text("-" if cell is None else printable(str(cell))) for cell in row))
    Console().print(made)
