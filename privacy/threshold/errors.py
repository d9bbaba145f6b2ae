"""What the default engine can refuse besides the failures all engines share."""

from privacy.errors import Failure, Kind


class AnswerRefused(Failure):
    """A holder was asked for something that is not one sum of different dealers' keys."""

    code = "ANSWER_REFUSED"
    kind = Kind.REFUSED
    en = "no answer is given for this cohort: {why}"
    zh = "不为该批次提供应答：{why}"
