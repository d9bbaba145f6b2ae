"""What the hub refuses when single clients are scored."""

from privacy.errors import Failure, Kind


class ScoringRefused(Failure):
    code = "SCORING_REFUSED"
    kind = Kind.REFUSED
    en = "no client is scored by {job}: {why}"
    zh = "不能用任务 {job} 对客户评分：{why}"


class ScoringPartnerGone(Failure):
    code = "SCORING_PARTNER_GONE"
    kind = Kind.REFUSED
    en = "{partner} is no member of the alliance any more: its share of a score can't be asked for"
    zh = "{partner} 已不是联盟成员：无法查询其评分份额"


class ScoreAskMalformed(Failure):
    code = "SCORE_ASK_MALFORMED"
    kind = Kind.INVALID
    en = "the ask for a score is malformed: {why}"
    zh = "评分查询格式错误：{why}"


class ScoreAnswerMalformed(Failure):
    code = "SCORE_ANSWER_MALFORMED"
    kind = Kind.INVALID
    en = "{partner} answered an ask for a score with something else"
    zh = "{partner} 对评分查询的应答格式错误"
