"""Failures of matching with a cached list beyond those of `privacy.psi.errors`. None carries an identifier or a key."""

from privacy.errors import Failure, Kind


class EpochOver(Failure):
    code = "PSI_EPOCH_OVER"
    kind = Kind.CONFLICT
    en = "epoch {epoch} is over: {why}; begin a new one, in which the whole list is masked under a new key"
    zh = "第 {epoch} 期已结束：{why}；请开始新一期，以新密钥重新遮蔽全部名单"


class PointsSpent(Failure):
    code = "PSI_EPOCH_POINTS_SPENT"
    kind = Kind.REFUSED
    en = "the job asks for {asked} evaluations, epoch {epoch} has {left} left; nothing was answered; begin a new epoch"
    zh = "任务要求 {asked} 次求值，第 {epoch} 期仅余 {left} 次；未作答复；请开始新一期"


class EvaluationUnproven(Failure):
    code = "PSI_EVALUATION_UNPROVEN"
    kind = Kind.INTEGRITY
    en = (
        "{sender} did not prove that it evaluated with the epoch's key: another key could mark clients; "
        "nothing of the message is used"
    )
    zh = "{sender} 未能证明其使用本期密钥求值：使用其他密钥可标记客户；该消息未被使用"


class EpochDiffers(Failure):
    code = "PSI_EPOCH_DIFFERS"
    kind = Kind.CONFLICT
    en = "the job and this side's epoch {epoch} do not fit: {why}"
    zh = "任务与本方第 {epoch} 期不符：{why}"


class ListTooLong(Failure):
    code = "PSI_LIST_TOO_LONG"
    kind = Kind.CONFLICT
    en = "{count} identifiers do not fit the {slots} places of a list of epoch {epoch}; begin an epoch with more places"
    zh = "{count} 个标识超出第 {epoch} 期名单的 {slots} 个位置；请开始位置更多的新一期"
