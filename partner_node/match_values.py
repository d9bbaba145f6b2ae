"""Mode sum: the values of this side's column, one for each id entered, as whole numbers.

What can't be added up is refused: a value that is missing or is no whole number would make the sum wrong,
and nobody could see it there.
"""

from datetime import datetime

import numpy as np

from partner_node.grants import Grant
from partner_node.match_errors import ValuesNotWhole
from partner_node.vault import Identifiers, Vault
from privacy.psi.job import Values


def read(vault: Vault, grant: Grant, found: Identifiers, values: Values, now: datetime) -> tuple[int, ...]:
    """The values in the order of the ids.

    grant: over the column. Raises ValuesNotWhole, and what the vault raises: SourceDuplicateIds among it, as a client
    in two rows has no one value.
    """
    column = vault.features(grant, found.row_keys, now)[values.column]
    whole = np.isfinite(column) & (np.floor(column) == column) & (column >= 0) & (column < 2**values.bits)
    if not whole.all():
        raise ValuesNotWhole(column=values.column, bits=values.bits)
    return tuple(column.astype(np.int64).tolist())
