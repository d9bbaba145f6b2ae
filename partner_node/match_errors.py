"""Failures of matching at a node, beside those of its limits (match_guard_errors)."""

from privacy.errors import Failure, Kind


class ValuesNotWhole(Failure):
    """The hub and the other parties read it too. It does not say how many: that would count clients by their values."""

    code = "VALUES_NOT_WHOLE"
    kind = Kind.INVALID
    en = (
        "{column} can't be added up: each value must be a whole number from 0, below 2^{bits}, none missing; correct "
        "the source, or propose the job with more bits"
    )
    zh = "{column} 无法求和：每个值应为 0 至 2^{bits}（不含）的整数，且无缺失；请更正数据源，或以更多位数重新发起"


class LabelsNotFit(Failure):
    """The hub and the other parties read it too. It does not say how many: that would count clients by their values."""

    code = "LABELS_NOT_FIT"
    kind = Kind.INVALID
    en = (
        "{column} can't be given as labels: each must be text of at most {length} bytes in UTF-8, without control "
        "characters; correct the source, or propose the job with more bytes"
    )
    zh = (
        "{column} 无法作为标签给出：每个值应为不含控制字符的文本，UTF-8 编码不超过 {length} 字节；"
        "请更正数据源，或以更多字节数重新发起"
    )


class NothingToDecide(Failure):
    code = "NOTHING_TO_DECIDE"
    kind = Kind.CONFLICT
    en = "nothing is to be decided on the job {job}: it gives no rows after a count, or has not counted, or is over"
    zh = "任务 {job} 无需决定：其方式不含先计数后给行，或尚未计数，或已结束"


class ResultMissing(Failure):
    code = "RESULT_MISSING"
    kind = Kind.NOT_FOUND
    en = "this node has no result of the match {job}; `ecohub partner jobs {job}` says how it stands"
    zh = "本节点没有匹配任务 {job} 的结果；可用 `ecohub partner jobs {job}` 查看状态"


class ResultWithoutRows(Failure):
    code = "RESULT_WITHOUT_ROWS"
    kind = Kind.NOT_FOUND
    en = "the match {job} left no rows at this node: its mode gives this party none, or too few clients are shared"
    zh = "匹配任务 {job} 未在本节点留下任何行：其披露方式不向本方提供，或共同客户过少"
