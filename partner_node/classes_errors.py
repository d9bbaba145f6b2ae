"""What is refused where runs of one label's classes are joined."""

from privacy.errors import Failure, Kind


class RunsNotOfOneLabel(Failure):
    code = "RUNS_NOT_OF_ONE_LABEL"
    kind = Kind.REFUSED
    en = "{run} can't be joined with {first} into one class a client: {why}; propose them by --each-class"
    zh = "无法将任务 {run} 与 {first} 合并为每名客户一个类别：{why_zh}；请用 --each-class 一并提出"
