"""What the banks agreed on. LINE_GROUP names each side's own copy of the public keys, exchanged by a way they trust."""

import json
import os
from pathlib import Path

from federation.horizontal.group import Group, PartnerKeys
from federation.horizontal.lanes import Update

KNOWN = json.loads(Path(os.environ["LINE_GROUP"]).read_text())
PUBLIC = {
    bank: PartnerKeys(signing=bytes.fromhex(one["signing"]), sealing=bytes.fromhex(one["sealing"]))
    for bank, one in KNOWN.items()
}
GROUP = Group(name="line-1", partners=PUBLIC, update=Update(clip=2.0, examples_max=1000, metrics={"loss": 100.0}))
