"""New files that a command writes for people: nothing that exists is overwritten, and what can't be written is named.

`check_new` comes before anything that can't be taken back (a certificate issued, a payment file ordered); `write_new`
checks again as it writes. Hub, node and the regulator's tools share these, so that one code says it everywhere.
"""

import os
from pathlib import Path

from privacy.errors import Failure, Kind


class OutputExists(Failure):
    code = "OUTPUT_EXISTS"
    kind = Kind.INVALID
    en = "{path} exists already and is not overwritten; nothing was done: give another place, or move it away"
    zh = "{path} 已存在，不予覆盖；未执行任何操作：请另选位置或先移走"


class OutputNotWritable(Failure):
    code = "OUTPUT_NOT_WRITABLE"
    kind = Kind.INVALID
    en = "{path} can't be written ({why}): give a place in a folder that exists and is yours"
    zh = "无法写入 {path}（{why}）：请指定已存在且有写权限的目录"


def check_new(*paths: Path) -> None:
    """Raises OutputExists where one of these is there already, OutputNotWritable where its folder is not a folder."""
    for path in paths:
        if os.path.lexists(path):
            raise OutputExists(path=str(path))
        folder = path.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OutputNotWritable(path=str(path), why=f"{folder} is no folder that can be written")


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that must not exist yet. Raises OutputExists, OutputNotWritable."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise OutputExists(path=str(path)) from None
    except OSError as error:
        raise OutputNotWritable(path=str(path), why=error.strerror or type(error).__name__) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
