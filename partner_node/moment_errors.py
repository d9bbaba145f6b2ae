"""Why a vertical run is refused for what its moments would tell together with those of earlier runs."""

from privacy.errors import Failure, Kind


class MomentsTellRows(Failure):
    code = "MOMENTS_TELL_ROWS"
    kind = Kind.REFUSED
    en = (
        "with the runs {runs} over some of the same clients, {partner} would have more equations about values of "
        "{column} than a quarter of the clients that they are about; use the split_salt, folds and columns of an "
        "earlier run, or fewer columns of {partner}"
    )
    zh = (
        "与相同客户上的任务 {runs} 合并后，{partner} 关于 {column} 取值的方程数将超过所涉客户数的四分之一；"
        "请沿用先前任务的 split_salt、折数与字段，或减少 {partner} 的字段"
    )


class RunsTogetherTell(Failure):
    code = "RUNS_TOGETHER_TELL"
    kind = Kind.REFUSED
    en = (
        "sums and differences of the parts of this run and of the runs {runs} leave fewer than {minimum} clients for "
        "each of them: the results together would tell about few; use the split_salt and folds of an earlier run"
    )
    zh = (
        "本任务与任务 {runs} 各部分相加减后，所余客户不足每个 {minimum} 人：结果合并会泄露少数客户的信息；"
        "请沿用先前任务的 split_salt 与折数"
    )


class SmallCellsFollow(Failure):
    code = "SMALL_CELLS_FOLLOW"
    kind = Kind.REFUSED
    en = (
        "parts of this run's clients and of the runs {runs} add up to each other: a small cell that one of them hides "
        "would be what the others leave; use the folds of the earlier run, or another split_salt, with contribution "
        "measured in one of them at most"
    )
    zh = (
        "本任务与任务 {runs} 的客户划分可相互加减得出：某一划分隐藏的小单元格可由其余划分推出；请沿用先前任务的折数，"
        "或更换 split_salt（且其中至多一个度量贡献）"
    )


class ValuesChanged(Failure):
    code = "VALUES_CHANGED_OF_FEW"
    kind = Kind.REFUSED
    en = (
        "since the run {run} the values of {column} changed for {count} of the clients of one part only, {minimum} are "
        "needed: the difference of the two results would tell about these few; wait until more have changed, or leave "
        "the column out"
    )
    zh = (
        "自任务 {run} 以来，{column} 在某一部分客户中仅有 {count} 名客户的取值改变，至少需 {minimum} 名：两次结果相减会"
        "泄露这些客户的信息；请待更多取值更新后再运行，或不提供该字段"
    )
