"""Failures of `privacy.linear`: what a party refuses, and whom it stops talking to."""

from privacy.errors import Failure, Kind


class ParametersImpossible(Failure):
    code = "LINEAR_PARAMETERS_IMPOSSIBLE"
    kind = Kind.INVALID
    en = "no secure parameters for this product: {why}; use fewer columns, rows or messages, or coarser values"
    zh = "该乘积没有安全参数可用：{why}；请减少列数、行数或消息数，或降低取值精度"


class InputOutOfRange(Failure):
    code = "LINEAR_INPUT_OUT_OF_RANGE"
    kind = Kind.INVALID
    en = "the {what} does not fit the agreed parameters: {why}"
    zh = "{what} 超出已约定的参数：{why}"


class BadNonce(Failure):
    code = "LINEAR_BAD_NONCE"
    kind = Kind.INTEGRITY
    en = "the joint seed cannot be made: {why}"
    zh = "无法生成联合种子：{why}"


class MalformedProductMessage(Failure):
    code = "LINEAR_MALFORMED_MESSAGE"
    kind = Kind.INVALID
    en = "the message of the encrypted product is malformed: {why}"
    zh = "加密乘积消息格式错误：{why}"


class ForeignProductMessage(Failure):
    code = "LINEAR_FOREIGN_MESSAGE"
    kind = Kind.CONFLICT
    en = "the message belongs to another training, seed, shape, party or step: {why}"
    zh = "该消息属于其他训练、种子、维度、参与方或步骤：{why}"


class ProductOutOfOrder(Failure):
    code = "LINEAR_OUT_OF_ORDER"
    kind = Kind.CONFLICT
    en = "this step of the encrypted product is not due: {why}"
    zh = "加密乘积尚未到该步骤：{why}"


class MessagesSpent(Failure):
    code = "LINEAR_MESSAGES_SPENT"
    kind = Kind.REFUSED
    en = "the agreed {limit} encrypted vectors of this training are spent; agree on a new training with a larger number"
    zh = "本次训练约定的 {limit} 个加密向量已用完；请以更大的数量约定新的训练"


class HolderCheated(Failure):
    code = "LINEAR_HOLDER_CHEATED"
    kind = Kind.INTEGRITY
    en = "{holder} failed the zero test: its hint or answers are not the protocol's; nothing more is sent to it"
    zh = "{holder} 未通过零测试：其提示或应答不符合协议；不再向其发送任何数据"


class EncryptorCheated(Failure):
    code = "LINEAR_ENCRYPTOR_CHEATED"
    kind = Kind.INTEGRITY
    en = "the label holder's opened product does not hold ({why}); this session is closed and answers nothing more"
    zh = "标签方返回的乘积结果校验不通过（{why}）；本会话已关闭，不再应答"


class HintSelfCheckFailed(Failure):
    code = "LINEAR_HINT_SELF_CHECK_FAILED"
    kind = Kind.UNAVAILABLE
    en = "the hint was computed wrongly (self-check); nothing was sent: run again, and test this machine if it repeats"
    zh = "提示计算有误（自检未通过），未发送任何数据：请重试；若重复出现请检查本机硬件"
