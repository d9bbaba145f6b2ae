"""Why a vertical run is refused for the sake of an earlier one: the difference of the two would tell too much."""

from privacy.errors import Failure, Kind


class RunsTooAlike(Failure):
    code = "RUNS_TOO_ALIKE"
    kind = Kind.REFUSED
    en = (
        "the train clients, a fold or the held-out clients differ from those of the run {run} by {count} only, "
        "{minimum} are needed: the difference of the two results would tell about these few; use the same alignment "
        "and split, or another split_salt"
    )
    zh = (
        "训练客户、某一折或留出客户与任务 {run} 仅相差 {count} 人，至少需相差 {minimum} 人：两次结果相减会泄露这几人"
        "的信息；请使用相同的对齐与划分，或更换 split_salt"
    )


class BinsTooAlike(Failure):
    code = "BINS_TOO_ALIKE"
    kind = Kind.REFUSED
    en = (
        "the run {run} over the same clients took {columns} in other bins: the difference of the two results would "
        "tell about the few clients between two edges; use the same bins and rare_rows, or another split_salt"
    )
    zh = (
        "任务 {run} 在相同客户上对 {columns} 采用了不同的分箱：两次结果相减会泄露两个分界之间少数客户的信息；"
        "请使用相同的 bins 与 rare_rows，或更换 split_salt"
    )
