"""Failures of key epochs at a node (mode cached), beside those of `privacy.psi.cached`. None counts clients."""

from privacy.errors import Failure, Kind


class EpochNotNext(Failure):
    code = "MATCH_EPOCH_NOT_NEXT"
    kind = Kind.CONFLICT
    en = "epoch {epoch} can't begin: epoch {last} of the same parties and assets came before; propose epoch {next}"
    zh = "第 {epoch} 期不可开始：相同各方与资产已有第 {last} 期；请以第 {next} 期重新发起"


class EpochEnded(Failure):
    code = "MATCH_EPOCH_ENDED"
    kind = Kind.CONFLICT
    en = "epoch {epoch} has ended here ({why}): its key and lists are deleted; propose a job of epoch {next}"
    zh = "第 {epoch} 期在本节点已结束（{why_zh}），其密钥与名单均已删除；请以第 {next} 期发起任务"


class EpochTermsDiffer(Failure):
    code = "MATCH_EPOCH_TERMS_DIFFER"
    kind = Kind.CONFLICT
    en = "the job names other terms or another key than epoch {epoch} has here; take those of its first job"
    zh = "任务所列条款或密钥与本节点第 {epoch} 期不符；请沿用该期首个任务的条款"


class EpochBusy(Failure):
    code = "MATCH_EPOCH_BUSY"
    kind = Kind.CONFLICT
    en = "the job {job} of epoch {epoch} is running here: one job at a time; propose again when it has ended"
    zh = "第 {epoch} 期的任务 {job} 正在本节点运行：同一时间仅限一个任务；请在其结束后重新发起"


class ClientsDeparted(Failure):
    """It does not say how many: that would count clients by what they decided."""

    code = "MATCH_EPOCH_CLIENTS_DEPARTED"
    kind = Kind.CONFLICT
    en = (
        "clients in the lists of epoch {epoch} have withdrawn consent or left: the epoch ends here, its key is "
        "deleted; propose a job of epoch {next}, in which the whole list is masked anew"
    )
    zh = (
        "第 {epoch} 期名单中有客户撤回同意或已离开：本期在本节点终止，密钥已删除；"
        "请以第 {next} 期发起任务，名单将全部重新遮蔽"
    )


class EpochUnknown(Failure):
    code = "MATCH_EPOCH_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "no one open epoch {epoch} with {peer} is here; `ecohub partner matching epochs` lists them"
    zh = "本节点没有与 {peer} 的唯一未结束的第 {epoch} 期；可用 `ecohub partner matching epochs` 查看"
