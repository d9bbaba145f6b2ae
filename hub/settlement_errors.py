"""Failures of the hub's settlement use cases."""

from privacy.errors import Failure, Kind


class AgreementUnknown(Failure):
    code = "AGREEMENT_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no agreement {agreement}; `ecohub finance agreement show` lists them"
    zh = "不存在协议 {agreement}；可用 `ecohub finance agreement show` 查看列表"


class AgreementNotActive(Failure):
    code = "AGREEMENT_NOT_ACTIVE"
    kind = Kind.CONFLICT
    en = "the agreement {agreement} is {state}; both parties must have approved it"
    zh = "协议 {agreement} 当前为 {state}；须双方均已同意"


class AgreementAmends(Failure):
    code = "AGREEMENT_AMENDS"
    kind = Kind.INVALID
    en = "{version} is a later version of an agreement: name its first one (it amends {amends})"
    zh = "{version} 是某协议的后续版本：请使用其首个版本的摘要（其所修订的版本为 {amends}）"


class AmendmentOpen(Failure):
    code = "AMENDMENT_OPEN"
    kind = Kind.CONFLICT
    en = "the version {version} is amended by {other} already, which is {state}: amend that one, or let it end first"
    zh = "版本 {version} 已有修订 {other}（{state}）：请在其基础上修订，或先使其终止"


class AgreementOtherContract(Failure):
    code = "AGREEMENT_OTHER_CONTRACT"
    kind = Kind.REFUSED
    en = "the agreement settles in {found}, this hub's settings name {expected}"
    zh = "协议约定的结算合约为 {found}，本枢纽配置为 {expected}"


class NotInThisRole(Failure):
    code = "NOT_IN_THIS_ROLE"
    kind = Kind.REFUSED
    en = "{partner} is not the {role} of agreement {agreement}"
    zh = "{partner} 不是协议 {agreement} 的 {role}"


class ReportRepeats(Failure):
    code = "REPORT_REPEATS"
    kind = Kind.CONFLICT
    en = "{count} {what} of this report were reported before; nothing was taken, report only new ones"
    zh = "本次报告中有 {count} 个 {what} 此前已上报；未接收任何内容，请只上报新增部分"


class TokensNotReferred(Failure):
    code = "TOKENS_NOT_REFERRED"
    kind = Kind.REFUSED
    en = "{count} events name clients that were not referred under this agreement; nothing was taken"
    zh = "有 {count} 个事件所指客户未在本协议下转介；未接收任何内容"


class PeriodClosed(Failure):
    code = "PERIOD_CLOSED"
    kind = Kind.CONFLICT
    en = "the period {period} was closed by statement {statement}, which is {state}; dispute it to open it again"
    zh = "期间 {period} 已由结算单 {statement}（{state}）关账；如需重开请对其提出异议"


class LaterPeriodClosed(Failure):
    code = "LATER_PERIOD_CLOSED"
    kind = Kind.CONFLICT
    en = "{period} comes before {later}, which statement {statement} closed already: months are closed in order. The \
parties settle what was left out of it outside this agreement, or agree on new terms for it"
    zh = "{period} 早于已由结算单 {statement} 关账的 {later}：须按月依次关账。遗漏部分请双方另行结算或另立协议"


class EarlierPeriodOpen(Failure):
    code = "EARLIER_PERIOD_OPEN"
    kind = Kind.CONFLICT
    en = "events of {earlier} were reported and no statement of it was ever drawn up: close it before {period}, or \
what it owes would be passed over"
    zh = "{earlier} 已有事件上报但从未出具结算单：请先关该月，再关 {period}，否则该月应付将被遗漏"


class PeriodNotOver(Failure):
    code = "PERIOD_NOT_OVER"
    kind = Kind.CONFLICT
    en = "the period {period} ends at {end}; close it after that"
    zh = "期间 {period} 于 {end} 结束，请在此之后关账"


class NothingToClose(Failure):
    code = "NOTHING_TO_CLOSE"
    kind = Kind.NOT_FOUND
    en = "no active agreement has referrals or events for {period}"
    zh = "{period} 期间没有任何有效协议的转介或收入事件"


class EarlierStatementOpen(Failure):
    code = "EARLIER_STATEMENT_OPEN"
    kind = Kind.CONFLICT
    en = "the statement {statement} of {period} is {state}; settle it first, each statement follows the one before"
    zh = "{period} 的结算单 {statement} 仍为 {state}；结算单逐张衔接，请先完成该单"


class StatementUnknown(Failure):
    code = "STATEMENT_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no statement {statement}; `ecohub finance statements` lists them"
    zh = "不存在结算单 {statement}；可用 `ecohub finance statements` 查看列表"


class StatementAmbiguous(Failure):
    code = "STATEMENT_AMBIGUOUS"
    kind = Kind.INVALID
    en = "{prefix} fits more than one statement; give more digits (at least 8)"
    zh = "{prefix} 对应多张结算单；请给出更多位数（至少 8 位）"


class MakerIsChecker(Failure):
    code = "MAKER_IS_CHECKER"
    kind = Kind.REFUSED
    en = "{maker} made the statement {statement}: another person of finance releases it to the partners"
    zh = "结算单 {statement} 由 {maker} 制作：须由另一名财务人员复核后发送给合作伙伴"


class StatementNotReleased(Failure):
    code = "STATEMENT_NOT_RELEASED"
    kind = Kind.CONFLICT
    en = "the statement {statement}, made by {maker}, has not gone out: another person of finance checks it and runs \
`ecohub finance release {statement} --yes`"
    zh = "结算单 {statement}（制作人 {maker}）尚未发出：须由另一名财务人员复核并执行 \
`ecohub finance release {statement} --yes`"


class StatementReleased(Failure):
    code = "STATEMENT_RELEASED"
    kind = Kind.CONFLICT
    en = "{checker} has released the statement {statement} to the partners; from now on they confirm or dispute it"
    zh = "结算单 {statement} 已由 {checker} 复核并发送给合作伙伴；此后由对方确认或提出异议"


class StatementRejected(Failure):
    code = "STATEMENT_REJECTED"
    kind = Kind.CONFLICT
    en = "{checker} has rejected the statement {statement}; close its period again"
    zh = "结算单 {statement} 已被 {checker} 退回；请重新关账"


class StatementNotConfirmed(Failure):
    code = "STATEMENT_NOT_CONFIRMED"
    kind = Kind.CONFLICT
    en = "the statement {statement} is not yet confirmed by {missing}"
    zh = "结算单 {statement} 尚未获得 {missing} 确认"


class StatementNotOpen(Failure):
    code = "STATEMENT_NOT_OPEN"
    kind = Kind.CONFLICT
    en = "the statement {statement} is {state}; it can be confirmed as a draft, and disputed as a draft or while its \
window on the chain is open"
    zh = "结算单 {statement} 当前为 {state}；仅可在草稿阶段确认，在草稿阶段或链上异议期内提出异议"


class StatementDisputed(StatementNotOpen):
    code = "STATEMENT_DISPUTED"
    kind = Kind.CONFLICT
    en = (
        "a party objected to the draft {statement}, `ecohub finance statement` shows why; once the missing reports are \
in, `ecohub finance close {period} --agreement {agreement}` puts a new draft in its place"
    )
    zh = "一方已对草稿 {statement} 提出异议，原因见 `ecohub finance statement`；补报后执行 \
`ecohub finance close {period} --agreement {agreement}`，生成新草稿取代"


class StatementDisputedOnChain(StatementNotOpen):
    code = "STATEMENT_DISPUTED_ON_CHAIN"
    kind = Kind.CONFLICT
    en = "the statement {statement} is disputed at the contract: the arbiter decides there \
(`ecohub sandbox chain resolve {anchor}`), then `settle` takes it over"
    zh = "结算单 {statement} 在合约中处于争议：由仲裁方在链上裁决（`ecohub sandbox chain resolve {anchor}`），\
之后再次执行 `settle` 即可同步结果"


class StatementVoid(StatementNotOpen):
    code = "STATEMENT_VOID"
    kind = Kind.CONFLICT
    en = (
        "the statement {statement} is void: settle the one that replaces it (`ecohub finance statements`), or draft it \
with `ecohub finance close {period} --agreement {agreement}`"
    )
    zh = "结算单 {statement} 已作废：请结算取代它的结算单（见 `ecohub finance statements`），或执行 \
`ecohub finance close {period} --agreement {agreement}` 生成"


class SignerNotRegistered(Failure):
    code = "SIGNER_NOT_REGISTERED"
    kind = Kind.CONFLICT
    en = "the contract has no signing account for {referrer} under this agreement yet; its governor runs: \
ecohub sandbox chain set-signer --endpoint URL --chain-id {chain_id} --key governor.key --contract {contract} \
--partner {partner} --signer {account} --terms {terms}"
    zh = "合约中尚未登记 {referrer} 在本协议下的签名账户；请合约治理方执行：\
ecohub sandbox chain set-signer --endpoint URL --chain-id {chain_id} --key governor.key --contract {contract} \
--partner {partner} --signer {account} --terms {terms}"


class AlreadyConfirmed(Failure):
    code = "ALREADY_CONFIRMED"
    kind = Kind.CONFLICT
    en = "{partner} has confirmed the statement {statement} with another document before"
    zh = "{partner} 已用另一份文件确认过结算单 {statement}"


class ChainDisagrees(Failure):
    code = "CHAIN_DISAGREES"
    kind = Kind.INTEGRITY
    en = "chain and books disagree on statement {statement}: {what} is {chain} on the chain, {books} in the books; \
settlement stops until this is explained"
    zh = "结算单 {statement} 链上与账簿不一致：{what} 链上为 {chain}，账簿为 {books}；查明原因前停止结算"


class JournalDiffers(Failure):
    code = "JOURNAL_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the journal entry of statement {statement} is not the one its lines give: settlement stops until this is \
explained"
    zh = "结算单 {statement} 的分录与其明细不符；查明原因前停止结算"


class DisputeUnknown(Failure):
    code = "DISPUTE_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "the statement {statement} has no dispute {dispute}"
    zh = "结算单 {statement} 没有异议 {dispute}"


class DisputeNotAnswered(Failure):
    code = "DISPUTE_NOT_ANSWERED"
    kind = Kind.CONFLICT
    en = "the dispute {dispute} of statement {statement} (lines {lines}) is not answered: the people of {partner} run \
`ecohub partner statement answer {statement}` first"
    zh = "结算单 {statement} 的异议 {dispute}（第 {lines} 行）尚未答复：请 {partner} 的人员先执行 \
`ecohub partner statement answer {statement}`"


class AnswerNotOfTheseLines(Failure):
    code = "ANSWER_NOT_OF_THESE_LINES"
    kind = Kind.INVALID
    en = "the answer to dispute {dispute} must name exactly the disputed lines; not so: {lines}"
    zh = "对异议 {dispute} 的答复须恰好覆盖被异议的各行；不符：{lines}"


class AlreadyAnswered(Failure):
    code = "ALREADY_ANSWERED"
    kind = Kind.CONFLICT
    en = "{dispute} was answered before with another document"
    zh = "{dispute} 此前已用另一份文件答复"


class AdjustmentUnknown(Failure):
    code = "ADJUSTMENT_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no adjustment {adjustment}"
    zh = "不存在调整 {adjustment}"


class DisputeNotSigned(Failure):
    code = "DISPUTE_NOT_SIGNED"
    kind = Kind.CONFLICT
    en = "{partner} disputes the statement {statement}; its node is asked to sign that for the chain ({why}). Once it \
has answered the hub hands it in, so does `settle`"
    zh = "{partner} 已对结算单 {statement} 提出异议；已请其节点签署链上异议（{why}）。应答后由枢纽提交，\
执行 `settle` 亦可"


class DisputeSignedOtherwise(Failure):
    code = "DISPUTE_SIGNED_OTHERWISE"
    kind = Kind.INTEGRITY
    en = "the node of {partner} answered for its dispute of statement {statement} with what was not asked: {what}; \
nothing was sent"
    zh = "{partner} 的节点就结算单 {statement} 异议的应答与请求不符：{what}；未发送任何交易"


class StatementNotPaid(Failure):
    code = "STATEMENT_NOT_PAID"
    kind = Kind.CONFLICT
    en = "the statement {statement} is {state}: its payment can be acknowledged once it is PAID"
    zh = "结算单 {statement} 当前为 {state}：标记为已付款（PAID）后方可确认收款"


class NotAcknowledged(Failure):
    code = "NOT_ACKNOWLEDGED"
    kind = Kind.CONFLICT
    en = "{referrer} has not acknowledged the payment of {statement} yet: its people run `ecohub partner statement \
acknowledge {statement} --yes`, then `settle` takes it to the chain"
    zh = "{referrer} 尚未确认收到 {statement} 的款项：请其人员执行 `ecohub partner statement acknowledge {statement} \
--yes`，之后执行 `settle` 即可上链"


class AcknowledgementNotSigned(Failure):
    code = "ACKNOWLEDGEMENT_NOT_SIGNED"
    kind = Kind.CONFLICT
    en = "the node of {referrer} is asked to sign the acknowledgement of {statement} for the chain ({why}): settle \
again once it has answered"
    zh = "已请 {referrer} 的节点签署 {statement} 的链上收款确认（{why}）：待其应答后再次执行 settle"


class AcknowledgementSignedOtherwise(Failure):
    code = "ACKNOWLEDGEMENT_SIGNED_OTHERWISE"
    kind = Kind.INTEGRITY
    en = "the referrer's node answered for statement {statement} with what was not asked: {what}; nothing was sent"
    zh = "推荐方节点对结算单 {statement} 的应答与请求不符：{what}；未发送任何交易"


class SettleDone(Failure):
    code = "NOTHING_TO_SETTLE"
    kind = Kind.CONFLICT
    en = "the statement {statement} is {state}; there is no further chain step for it"
    zh = "结算单 {statement} 当前为 {state}，没有后续链上步骤"


class NothingToPay(Failure):
    code = "NOTHING_TO_PAY"
    kind = Kind.NOT_FOUND
    en = "no final statement of {period} has an amount to pay"
    zh = "{period} 没有需付款的终结结算单"


class ContractNotConfigured(Failure):
    code = "CONTRACT_NOT_CONFIGURED"
    kind = Kind.UNAVAILABLE
    en = "no settlement contract is configured: deploy it, then set [chain] contract in {file}"
    zh = "未配置结算合约：请先部署，再于 {file} 的 [chain] 中设置 contract"
