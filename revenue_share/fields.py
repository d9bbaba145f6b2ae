"""Declared fields of an agreement: one declaration both reads a value from outside and says its JSON Schema.

`read` gives the checked value or raises AgreementInvalid by the field's name; `schema` is draft 2020-12. What a schema
cannot say (two dates in order, a rate of the table of time zones) is checked where the field is used, and the schema
says nothing of it: a document that fails the schema fails `Agreement.from_body`, the reverse holds but for those.
Numbers and forms that an event's facts have too say by `fault` what is wrong, for whoever raises something else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, cast

from privacy import canonical
from privacy.errors import Failure
from revenue_share import money, periods
from revenue_share.errors import AgreementInvalid

Schema: TypeAlias = dict[str, canonical.Value]
_RATIO = r"^(0|[1-9][0-9]{0,8})/([1-9][0-9]{0,8})$"
_DAY = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"


class Field(Protocol):
    """One declared value."""

    def read(self, value: canonical.Value, name: str) -> Any:
        """The checked value. Raises AgreementInvalid naming `name`."""

    def schema(self) -> Schema:
        """Its JSON Schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def fault(self, value: object) -> str:
        """Why a value is none; empty where it is one."""
        right = type(value) is int and self.least <= value <= self.most
        return "" if right else f"a whole number from {self.least} to {self.most} is expected"

    def read(self, value: canonical.Value, name: str) -> int:
        if why := self.fault(value):
            raise AgreementInvalid(field=name, why=why)
        return cast(int, value)

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """true or false."""

    def read(self, value: canonical.Value, name: str) -> bool:
        if not isinstance(value, bool):
            raise AgreementInvalid(field=name, why="true or false is expected")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Any text of `least` to `most` characters."""

    least: int = 1
    most: int = 2000

    def read(self, value: canonical.Value, name: str) -> str:
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise AgreementInvalid(field=name, why=f"a text of {self.least}-{self.most} characters is expected")
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": self.least, "maxLength": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A text that matches `pattern` as a whole."""

    pattern: str
    form: str

    def fault(self, value: object) -> str:
        """Why a value is none; empty where it is one."""
        right = isinstance(value, str) and re.fullmatch(self.pattern, value) is not None
        return "" if right else f"{self.form} is expected"

    def read(self, value: canonical.Value, name: str) -> str:
        if why := self.fault(value):
            raise AgreementInvalid(field=name, why=why)
        return cast(str, value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({self.pattern})$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: canonical.Value, name: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise AgreementInvalid(field=name, why=f"{' or '.join(self.words)} is expected")
        return value

    def schema(self) -> Schema:
        return {"enum": [*self.words]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """An exact ratio such as "1/20": more than 0 (or from 0 on, where `zero`), at most `most`."""

    most: int = 1
    zero: bool = False

    def read(self, value: canonical.Value, name: str) -> Fraction:
        try:
            rate = money.Ratio.from_text(cast(str, value)).fraction
        except Failure as error:
            raise AgreementInvalid(field=name, why=error.message()) from None
        if not (rate > 0 or (self.zero and rate == 0)) or rate > self.most:
            least = "from 0" if self.zero else "more than 0"
            raise AgreementInvalid(field=name, why=f"{least} and at most {self.most}/1 is expected")
        return rate

    def schema(self) -> Schema:
        return {"type": "string", "pattern": _RATIO}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A date such as 2026-10-05."""

    def read(self, value: canonical.Value, name: str) -> date:
        try:
            return periods.parse_date(value)
        except ValueError as error:
            raise AgreementInvalid(field=name, why=str(error)) from None

    def schema(self) -> Schema:
        return {"type": "string", "format": "date", "pattern": _DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Perhaps:
    """A field that may be null, which reads as None."""

    of: Field

    def read(self, value: canonical.Value, name: str) -> Any:
        return None if value is None else self.of.read(value, name)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "null"}, self.of.schema()]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list of `least` to `most` items of one form, each named by its place."""

    of: Field
    least: int
    most: int
    what: str = "items"

    def read(self, value: canonical.Value, name: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise AgreementInvalid(field=name, why=f"{self.least} to {self.most} {self.what} are expected")
        return tuple(self.of.read(item, f"{name}[{place}]") for place, item in enumerate(value))

    def schema(self) -> Schema:
        return {"type": "array", "items": self.of.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An object of exactly these fields; those of `optional` may be absent and are then absent from what is read."""

    needed: Mapping[str, Field] = field(default_factory=dict)
    optional: Mapping[str, Field] = field(default_factory=dict)
    least: int = 0

    def read(self, value: canonical.Value, name: str) -> dict[str, Any]:
        known = {**self.needed, **self.optional}
        if not isinstance(value, dict) or not set(self.needed) <= set(value) <= set(known) or len(value) < self.least:
            raise AgreementInvalid(field=name, why=self._expected())
        return {key: known[key].read(item, f"{name}.{key}") for key, item in value.items()}

    def _expected(self) -> str:
        exactly = f"an object of exactly {', '.join(sorted(self.needed))}" if self.needed else "an object of some of"
        more = f" (and perhaps {', '.join(sorted(self.optional))})" if self.optional else ""
        return f"{exactly}{more} is expected"

    def schema(self) -> Schema:
        known = {**self.needed, **self.optional}
        properties: Schema = {name: known[name].schema() for name in sorted(known)}
        made: Schema = {"type": "object", "properties": properties, "required": [*sorted(self.needed)]}
        return made | {"additionalProperties": False} | ({"minProperties": self.least} if self.least else {})
