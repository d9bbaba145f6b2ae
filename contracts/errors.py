"""Failures of this subject, and the one translation of a revert reason into a failure."""

from privacy.errors import Failure, Kind


class ChainUnavailable(Failure):
    code = "CHAIN_UNAVAILABLE"
    kind = Kind.UNAVAILABLE
    en = "the chain at {endpoint} does not answer ({why}); check that it runs and try again"
    zh = "链节点 {endpoint} 无响应（{why}）；请确认其已启动后重试"


class ReceiptTimeout(Failure):
    code = "RECEIPT_TIMEOUT"
    kind = Kind.UNAVAILABLE
    en = "transaction {transaction} has no receipt after {seconds} seconds; the same transaction may be sent again"
    zh = "交易 {transaction} 在 {seconds} 秒内未取得回执；可重新发送同一交易"


class WrongChain(Failure):
    code = "WRONG_CHAIN"
    kind = Kind.INTEGRITY
    en = "the endpoint serves chain {found}, but chain {expected} is configured"
    zh = "节点的链编号为 {found}，配置要求 {expected}"


class MalformedChainAnswer(Failure):
    code = "MALFORMED_CHAIN_ANSWER"
    kind = Kind.INTEGRITY
    en = "the chain's answer is malformed: {why}"
    zh = "链节点的应答格式错误：{why}"


class MethodNotOffered(Failure):
    code = "CHAIN_METHOD_NOT_OFFERED"
    kind = Kind.INVALID
    en = "this chain endpoint does not offer {method}"
    zh = "该链节点不提供 {method} 方法"


class ChainRefused(Failure):
    code = "CHAIN_REFUSED"
    kind = Kind.REFUSED
    en = "the chain refused the request: {why}"
    zh = "链节点拒绝该请求：{why}"


class TransactionUnknown(Failure):
    code = "TRANSACTION_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "the chain knows no {what}"
    zh = "链上不存在 {what}"


class MalformedTransaction(Failure):
    code = "MALFORMED_TRANSACTION"
    kind = Kind.INVALID
    en = "the transaction is malformed: {why}"
    zh = "交易格式错误：{why}"


class BlockInvalid(Failure):
    code = "CHAIN_BLOCK_INVALID"
    kind = Kind.INTEGRITY
    en = "block {number} of the chain does not hold: {why}"
    zh = "链上区块 {number} 校验不通过：{why}"


class ArtifactInvalid(Failure):
    code = "ARTIFACT_INVALID"
    kind = Kind.INTEGRITY
    en = "the artifact of contract {contract} cannot be used: {why}; run python -m contracts.build"
    zh = "合约 {contract} 的编译产物不可用：{why}；请执行 python -m contracts.build"


class CodeDiffers(Failure):
    code = "CONTRACT_CODE_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the code at the configured address is not that of contract {contract}"
    zh = "配置地址上的代码与合约 {contract} 不一致"


class KeyFileInvalid(Failure):
    code = "CHAIN_KEY_INVALID"
    kind = Kind.INVALID
    en = "the chain key cannot be used: {why}"
    zh = "链上密钥不可用：{why}"


class MalformedAddress(Failure):
    code = "MALFORMED_ADDRESS"
    kind = Kind.INVALID
    en = "{value!r} is not a chain address: 0x, 40 hex digits, right EIP-55 case"
    zh = "{value!r} 不是合法的链地址：应为 0x 加 40 位十六进制，大小写符合 EIP-55"


class BadChainSignature(Failure):
    code = "BAD_CHAIN_SIGNATURE"
    kind = Kind.INTEGRITY
    en = "the chain signature does not hold: {why}"
    zh = "链上签名无效：{why}"


class AnchorInvalid(Failure):
    code = "ANCHOR_INVALID"
    kind = Kind.INVALID
    en = "the statement's anchor is invalid: {why}"
    zh = "结算单锚定数据无效：{why}"


class TransactionReverted(Failure):
    """The contract said no. Subclasses name the reasons that callers tell apart."""

    code = "TRANSACTION_REVERTED"
    kind = Kind.CONFLICT
    en = "the contract refused the call: {reason}"
    zh = "合约拒绝该调用：{reason}"


class NotEntitled(TransactionReverted):
    code = "CHAIN_CALLER_NOT_ENTITLED"
    kind = Kind.REFUSED
    en = "this account may not do that: {reason}"
    zh = "该账户无权执行此操作：{reason}"


class SettlementPaused(TransactionReverted):
    code = "SETTLEMENT_PAUSED"
    en = "the governor paused the settlement contract; wait until it is released ({reason})"
    zh = "结算合约已被治理方暂停，请等待恢复（{reason}）"


class PartnerInactive(TransactionReverted):
    code = "PARTNER_NOT_REGISTERED_ON_CHAIN"
    kind = Kind.REFUSED
    en = "the partner has no signer in the settlement contract; the governor must set it ({reason})"
    zh = "该伙伴在结算合约中没有签名账户，须由治理方登记（{reason}）"


class StatementOutOfOrder(TransactionReverted):
    code = "STATEMENT_OUT_OF_ORDER"
    en = "the statement does not follow the partner's last one: {reason}"
    zh = "该结算单与伙伴上一张结算单不衔接：{reason}"


class StatementSignatureRefused(TransactionReverted):
    code = "STATEMENT_SIGNATURE_REFUSED"
    kind = Kind.INTEGRITY
    en = "the contract refused a signature of the statement: {reason}"
    zh = "合约拒绝结算单的签名：{reason}"


class ReplacementRefused(TransactionReverted):
    code = "STATEMENT_REPLACEMENT_REFUSED"
    en = "the statement named as replaced cannot be replaced: {reason}"
    zh = "被替换的结算单不可替换：{reason}"


class StatementState(TransactionReverted):
    code = "STATEMENT_STATE_ON_CHAIN"
    en = "the statement is in another state on chain: {reason}"
    zh = "结算单的链上状态不允许此操作：{reason}"


class WindowOpen(TransactionReverted):
    code = "WINDOW_OPEN"
    en = "the dispute window is still open; finalise after it ends ({reason})"
    zh = "异议期尚未结束，期满后方可终结（{reason}）"


class WindowClosed(TransactionReverted):
    code = "WINDOW_CLOSED"
    en = "the dispute window is over ({reason})"
    zh = "异议期已结束（{reason}）"


class PayoutRefused(TransactionReverted):
    code = "PAYOUT_REFUSED"
    en = "the payment reference cannot be used: {reason}"
    zh = "付款凭证不可用：{reason}"


class SignerRefused(TransactionReverted):
    code = "CHAIN_SIGNER_REFUSED"
    kind = Kind.REFUSED
    en = "this account cannot sign for the partner: {reason}"
    zh = "该账户不能作为伙伴的签名账户：{reason}"


class PeriodNotOpen(TransactionReverted):
    code = "PARTNER_PERIOD_NOT_OPEN_ON_CHAIN"
    kind = Kind.REFUSED
    en = "the partner is suspended, or has left before the statement's period ({reason})"
    zh = "该伙伴已暂停，或已在该结算期之前退出（{reason}）"


class ContractSucceeded(TransactionReverted):
    code = "SETTLEMENT_SUCCEEDED"
    en = "another contract has taken over from this one ({reason}); new statements go there"
    zh = "该合约已被后续合约接替（{reason}），新结算单须提交至后续合约"


class PartnerStatus(TransactionReverted):
    code = "PARTNER_STATUS_ON_CHAIN"
    en = "the registry of partners does not allow that now: {reason}"
    zh = "伙伴登记合约当前不允许此操作：{reason}"


class DelayRunning(TransactionReverted):
    code = "CHAIN_DELAY_RUNNING"
    en = "the delay is not over yet; do it again when it is ({reason})"
    zh = "等待期尚未结束，请期满后重试（{reason}）"


class OperationClosed(TransactionReverted):
    code = "GOVERNOR_OPERATION_CLOSED"
    en = "the governor's operation cannot go on: {reason}"
    zh = "治理操作无法继续：{reason}"


class CheckpointRefused(TransactionReverted):
    code = "CHECKPOINT_ANCHOR_REFUSED"
    kind = Kind.INTEGRITY
    en = "the checkpoint cannot be anchored: {reason}"
    zh = "该检查点不可锚定：{reason}"


_ENTITLED = (
    "not the governor",
    "not the broker",
    "not the arbiter",
    "not the partner",
    "not a party",
    "not the registrar",
    "not the governor or signer",
    "not who began it",
    "not the new signer",
    "not the submitter",
    "not a member",
    "not the proposer",
    "not the governor itself",
)
_BY_FAILURE: dict[type[TransactionReverted], tuple[str, ...]] = {
    NotEntitled: _ENTITLED,
    SettlementPaused: ("paused",),
    PartnerInactive: ("partner inactive",),
    PeriodNotOpen: ("partner period",),
    ContractSucceeded: ("succeeded",),
    SignerRefused: ("partner", "signer", "signer is the broker", "signer is the same", "arbiter is a party"),
    StatementOutOfOrder: ("sequence", "previous"),
    StatementSignatureRefused: (
        "signature",
        "signature length",
        "signature s",
        "signature v",
        "broker signature",
        "partner signature",
    ),
    ReplacementRefused: ("replaces", "replaces state", "replaced before"),
    StatementState: ("not proposed", "not disputed", "not final", "not paid"),
    WindowOpen: ("window open",),
    WindowClosed: ("window closed",),
    PayoutRefused: ("payout", "payout used"),
    PartnerStatus: ("partner unknown", "partner known", "partner status", "rotation open", "no rotation"),
    DelayRunning: ("delay running",),
    OperationClosed: (
        "not open",
        "members changed",
        "approved before",
        "not approved by you",
        "not enough approvals",
        "expired",
        "paused again",
    ),
    CheckpointRefused: ("origin", "size", "size limit", "root"),
    TransactionReverted: (
        "not paused",
        "no lines",
        "index",
        "governor",
        "governor is the broker",
        "registrar",
        "registrar is the broker",
        "broker",
        "arbiter",
        "window",
        "successor",
        "successor is this",
        "delay",
        "settlement",
        "attached",
        "not attached",
        "too many settlements",
        "period",
        "period month",
        "threshold",
        "threshold over members",
        "member",
        "member twice",
        "target",
    ),
}
REASONS: dict[str, type[TransactionReverted]] = {
    reason: failure for failure, reasons in _BY_FAILURE.items() for reason in reasons
}


def reverted(reason: str) -> TransactionReverted:
    """The failure of a revert reason; an unknown or missing reason is a plain TransactionReverted."""
    return REASONS.get(reason, TransactionReverted)(reason=reason or "no reason given")
