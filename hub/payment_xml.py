"""XML of others, read so that it can do no harm, and XML of ours, written.

A document type is refused where it begins, before anything in it could be declared: so there are no entities but the
five of XML itself (no billion laughs), no external ones, no default attributes. Size, depth and the number of elements
are bounded. UTF-8, with or without its mark; GBK and GB 18030 where the document declares it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat
from xml.sax import saxutils

from hub.bank_values import check_size
from hub.payment_errors import BankFileInvalid, BankFileTooLarge

DEPTH_MAX = 40
ELEMENTS_MAX = 400_000
_DECLARED = re.compile(rb"""^<\?xml[^>]{0,80}encoding\s*=\s*["']([A-Za-z0-9._-]{1,20})["']""")
_CHINESE = ("gbk", "gb2312", "gb18030")


@dataclass(slots=True)
class Element:
    """An element: local name, namespace, attributes, own text, children, line in the file."""

    name: str
    namespace: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, *path: str) -> Iterator["Element"]:
        """Every element under a path of names, in the order of the file."""
        if not path:
            yield self
            return
        for child in self.children:
            if child.name == path[0]:
                yield from child.all(*path[1:])

    def one(self, *path: str) -> "Element | None":
        """The only element under a path; None where there is none. Raises BankFileInvalid where there are several."""
        found = list(self.all(*path))
        if len(found) > 1:
            raise BankFileInvalid(why=f"line {found[1].line}: {'/'.join(path)} stands there twice")
        return found[0] if found else None

    def value(self, *path: str) -> str:
        """The text of the only element under a path, without space around it; empty where there is none."""
        found = self.one(*path)
        return found.text.strip() if found is not None else ""


def parse(data: bytes) -> Element:
    """The root of a document. Raises BankFileTooLarge, BankFileInvalid for anything that is not plain, bounded XML."""
    check_size(len(data))
    reader = _Reader()
    try:
        reader.parser.Parse(_utf8(data), True)
    except expat.ExpatError as error:
        raise BankFileInvalid(why=f"not XML: {error}") from None
    assert reader.root is not None, "expat ends a document without a root with an error"
    return reader.root


def _utf8(data: bytes) -> bytes:
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    name = declared[1].decode().lower() if declared else "utf-8"
    if name in ("utf-8", "utf8", "us-ascii"):
        return _plain_utf8(data)
    if name not in _CHINESE:
        raise BankFileInvalid(why=f"the encoding {name}; UTF-8 and GB 18030 are read")
    try:
        return data.decode("gb18030").encode()
    except UnicodeDecodeError:
        raise BankFileInvalid(why=f"it is not the {name} it declares") from None


def _plain_utf8(data: bytes) -> bytes:
    """expat would follow a UTF-16 mark whatever encoding it was given, so these bytes are looked at first."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BankFileInvalid(why=f"it is not UTF-8 at byte {error.start}") from None
    if "\0" in text:
        raise BankFileInvalid(why="it is not UTF-8")
    return data


class _Reader:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0
        self.parser = expat.ParserCreate("utf-8", " ")  # this encoding whatever the file declares; "namespace name"
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.buffer_text = True

    def _doctype(self, *_: object) -> NoReturn:
        raise BankFileInvalid(why="a document type (DTD) is not read")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX:
            raise BankFileTooLarge(found=f"more than {ELEMENTS_MAX:,} elements", limit=f"{ELEMENTS_MAX:,}")
        if len(self._open) >= DEPTH_MAX:
            raise BankFileInvalid(why=f"elements nested deeper than {DEPTH_MAX}")
        namespace, _, name = qualified.rpartition(" ")
        made = Element(name=name, namespace=namespace, line=self.parser.CurrentLineNumber, attributes=dict(attributes))
        if self._open:
            self._open[-1].children.append(made)
        else:
            self.root = made
        self._open.append(made)

    def _end(self, _: str) -> None:
        done = self._open.pop()
        if done.children and done.text.strip():
            raise BankFileInvalid(why=f"line {done.line}: {done.name} has text between its elements")

    def _characters(self, text: str) -> None:
        self._open[-1].text += text


def write(name: str, content: "str | list[str]", attributes: Mapping[str, str] | None = None) -> str:
    """One element of text (escaped), or of elements that are written already."""
    told = "".join(f" {key}={saxutils.quoteattr(value)}" for key, value in (attributes or {}).items())
    inner = saxutils.escape(content) if isinstance(content, str) else "".join(content)
    return f"<{name}{told}>{inner}</{name}>"
