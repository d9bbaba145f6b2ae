"""Failures of the OPRF engine beyond those of `privacy.psi.errors`. None carries an identifier, a seed or a point."""

from privacy.errors import Failure, Kind


class BaseTransferLength(Failure):
    code = "PSI_BASE_TRANSFER_LENGTH"
    kind = Kind.INVALID
    en = "the message of the base transfers has {got} bytes instead of {expected}; nothing was answered"
    zh = "基础不经意传输的消息为 {got} 字节，应为 {expected} 字节；未作答复"


class ExtensionLength(Failure):
    code = "PSI_EXTENSION_LENGTH"
    kind = Kind.INVALID
    en = "the matrix of bucket {bucket} has {got} bytes instead of {expected}; nothing was answered"
    zh = "第 {bucket} 桶的矩阵为 {got} 字节，应为 {expected} 字节；未作答复"


class ExtensionInconsistent(Failure):
    code = "PSI_EXTENSION_INCONSISTENT"
    kind = Kind.INTEGRITY
    en = (
        "the matrix of bucket {bucket} is not of codewords: its sender cheats or is broken; nothing was answered, "
        "and this job's seeds must not be used again: end the job"
    )
    zh = "第 {bucket} 桶的矩阵不是码字：发送方作弊或出错；未作答复，本任务的种子不得再用：请结束该任务"


class BucketOverflow(Failure):
    code = "PSI_BUCKET_OVERFLOW"
    kind = Kind.CONFLICT
    en = "a bucket would hold more than {capacity} identifiers: this happens once in 2^44 jobs; propose the job anew"
    zh = "某个桶的标识将超过 {capacity} 个：此情形约每 2^44 个任务出现一次；请重新发起任务"


class StoreUnsolvable(Failure):
    code = "PSI_STORE_UNSOLVABLE"
    kind = Kind.CONFLICT
    en = "no store of bucket {bucket} could be solved in {attempts} attempts; propose the job anew"
    zh = "第 {bucket} 桶在 {attempts} 次尝试中均无法求解；请重新发起任务"


class TagsMalformed(Failure):
    code = "PSI_TAGS_MALFORMED"
    kind = Kind.INTEGRITY
    en = "the tags of a bucket do not ascend: their sender is broken or cheats; no row is used"
    zh = "某个桶的标签未按升序排列：发送方出错或作弊；未使用任何行"


class LabelsMalformed(Failure):
    code = "PSI_LABELS_MALFORMED"
    kind = Kind.INTEGRITY
    en = "the store of a bucket's labels has no valid number: its sender is broken or cheats; no label is used"
    zh = "某个桶的标签存储编号无效：发送方出错或作弊；未使用任何标签"


class BadLabels(Failure):
    code = "PSI_BAD_LABELS"
    kind = Kind.INVALID
    en = "the labels cannot be used: {why}"
    zh = "标签不能使用：{why}"


class LabelsNotText(Failure):
    code = "PSI_LABELS_NOT_TEXT"
    kind = Kind.INTEGRITY
    en = "{count} of the labels received are not text; take them as bytes, or ask the other side what it entered"
    zh = "收到的标签中有 {count} 个不是文本；请按字节读取，或询问对方所提交的内容"
