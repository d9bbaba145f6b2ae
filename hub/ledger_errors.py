"""Failures of the books: periods that are locked, or can't be."""

from privacy.errors import Failure, Kind


class PeriodLocked(Failure):
    code = "PERIOD_LOCKED"
    kind = Kind.CONFLICT
    en = "the books of {period} are locked (up to {locked}): date the entry into an open period"
    zh = "{period} 的账簿已锁定（锁定至 {locked}）：请将分录记入未锁定的期间"


class PeriodPending(Failure):
    code = "PERIOD_PENDING"
    kind = Kind.CONFLICT
    en = "the books of {period} can't be locked: {count} entries up to it are pending, the first is {entry}"
    zh = "{period} 的账簿不能锁定：截至该期间有 {count} 笔待过账分录，第一笔为 {entry}"
