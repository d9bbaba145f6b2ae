"""Failures of private matching. None carries an identifier, a point or a key."""

from privacy.errors import Failure, Kind


class BadSetup(Failure):
    code = "PSI_BAD_SETUP"
    kind = Kind.INVALID
    en = "this matching session cannot be set up: {why}"
    zh = "无法建立匹配会话：{why}"


class BadIdentifiers(Failure):
    code = "PSI_BAD_IDENTIFIERS"
    kind = Kind.INVALID
    en = "the identifiers of this side cannot be matched: {why}; pass the distinct ids that the normaliser made"
    zh = "本方标识不能用于匹配：{why}；请传入规范化后去重的标识"


class IdentifiersChanged(Failure):
    code = "PSI_IDENTIFIERS_CHANGED"
    kind = Kind.CONFLICT
    en = "the identifiers differ from those this session began with; restore the data, or end the job and propose anew"
    zh = "标识与会话开始时不一致；请恢复数据，或结束该任务后重新发起"


class BadPoint(Failure):
    code = "PSI_BAD_POINT"
    kind = Kind.INTEGRITY
    en = "a received value is no element of the group: {why}; the message is not used, nothing was answered"
    zh = "收到的值不是群元素：{why}；该消息未被使用，未作答复"


class MalformedMessage(Failure):
    code = "PSI_MALFORMED_MESSAGE"
    kind = Kind.INVALID
    en = "the matching message from {sender} is malformed: {why}"
    zh = "来自 {sender} 的匹配消息格式错误：{why}"


class ForeignMessage(Failure):
    code = "PSI_FOREIGN_MESSAGE"
    kind = Kind.INTEGRITY
    en = "the message from {sender} belongs to another session: its {field} differs"
    zh = "来自 {sender} 的消息属于其他会话：{field} 不一致"


class WrongRole(Failure):
    code = "PSI_WRONG_ROLE"
    kind = Kind.CONFLICT
    en = "{sender} speaks as {role}, which is this side's own role: both sides lead, or a message was reflected"
    zh = "{sender} 以 {role} 身份发言，与本方角色相同：双方同为一角色，或消息被反射"


class WrongPhase(Failure):
    code = "PSI_WRONG_PHASE"
    kind = Kind.CONFLICT
    en = "this side waits for {expected}, not for {got}"
    zh = "本方等待的是 {expected}，而不是 {got}"


class RepeatedChunk(Failure):
    code = "PSI_REPEATED_CHUNK"
    kind = Kind.CONFLICT
    en = "chunk {got} of {phase} from {sender} was taken before; chunk {expected} is next"
    zh = "{sender} 的 {phase} 第 {got} 块已收过；应为第 {expected} 块"


class MissingChunk(Failure):
    code = "PSI_MISSING_CHUNK"
    kind = Kind.CONFLICT
    en = "chunk {got} of {phase} from {sender} came before chunk {expected}"
    zh = "{sender} 的 {phase} 第 {got} 块先于第 {expected} 块到达"


class CountDiffers(Failure):
    code = "PSI_COUNT_DIFFERS"
    kind = Kind.INTEGRITY
    en = "{sender} committed to {expected} entries of {what}, the message has {got}"
    zh = "{sender} 承诺的 {what} 为 {expected} 条，消息为 {got} 条"


class RepeatedPoint(Failure):
    code = "PSI_REPEATED_POINT"
    kind = Kind.INTEGRITY
    en = "the {phase} list from {sender} holds a value twice, which can mark clients; nothing was answered"
    zh = "{sender} 的 {phase} 列表含重复值，可能被用于标记客户；未作答复"


class BadRows(Failure):
    code = "PSI_BAD_ROWS"
    kind = Kind.INTEGRITY
    en = "the common order from {sender} is not a valid one: {why}; no row is used"
    zh = "{sender} 给出的共同次序无效：{why}；未使用任何行"


class BadValues(Failure):
    code = "PSI_BAD_VALUES"
    kind = Kind.INVALID
    en = "the values of this side cannot be added up: {why}; pass one whole number for each identifier"
    zh = "本方数值不能用于求和：{why}；每个标识应对应一个整数"


class BadDecision(Failure):
    code = "PSI_BAD_DECISION"
    kind = Kind.INTEGRITY
    en = "what {sender} decided on the rows does not fit this session: {why}; no row is given or used"
    zh = "{sender} 对行的决定与本会话不符：{why}；未给出或使用任何行"


class BadTotal(Failure):
    code = "PSI_BAD_TOTAL"
    kind = Kind.INTEGRITY
    en = "the sum from {sender} is not one of {count} values below 2^{bits}, or reaches 2^40; no figure is used"
    zh = "{sender} 给出的合计不是 {count} 个小于 2^{bits} 的数值之和，或达到 2^40；未使用任何数字"


class NotFinished(Failure):
    code = "PSI_NOT_FINISHED"
    kind = Kind.CONFLICT
    en = "the session has no result yet: it waits for {phase}"
    zh = "会话尚无结果：正在等待 {phase}"


class BadState(Failure):
    code = "PSI_BAD_STATE"
    kind = Kind.INTEGRITY
    en = "the stored session state cannot be read: {why}; end the job and propose a new one"
    zh = "无法读取保存的会话状态：{why}；请结束该任务后重新发起"
