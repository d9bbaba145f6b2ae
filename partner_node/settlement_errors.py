"""What a node refuses in settlement."""

from privacy.errors import Failure, Kind


class AgreementNotHere(Failure):
    code = "AGREEMENT_NOT_HERE"
    kind = Kind.REFUSED
    en = "this node's people have not approved an agreement {agreement}"
    zh = "本节点人员未同意过协议 {agreement}"


class OtherRole(Failure):
    code = "OTHER_ROLE_IN_AGREEMENT"
    kind = Kind.REFUSED
    en = "{partner} is not the {role} of agreement {agreement}"
    zh = "{partner} 不是协议 {agreement} 的 {role}"


class OtherContract(Failure):
    code = "OTHER_SETTLEMENT_CONTRACT"
    kind = Kind.REFUSED
    en = "the agreement settles in {found}, this node's settings name {expected}: correct [chain] or refuse"
    zh = "协议约定的结算合约为 {found}，本节点配置为 {expected}：请更正 [chain] 或拒绝"


class ReportFileInvalid(Failure):
    code = "REPORT_FILE_INVALID"
    kind = Kind.INVALID
    en = "line {line} of the report file: {why}; nothing was reported"
    zh = "报告文件第 {line} 行：{why}；未上报任何内容"


class EventIdRepeated(Failure):
    code = "EVENT_ID_REPEATED"
    kind = Kind.CONFLICT
    en = "line {line}: the event id {event} stands there a second time; nothing was reported, each event has one id"
    zh = "第 {line} 行：事件编号 {event} 重复出现；未上报任何内容，每个事件编号唯一"


class EventChanged(Failure):
    code = "EVENT_CHANGED"
    kind = Kind.CONFLICT
    en = "line {line}: the event {event} was reported before with other content; report a reversal under a new id"
    zh = "第 {line} 行：事件 {event} 曾以不同内容上报；请以新编号上报冲减"


class AlignmentUnclear(Failure):
    code = "ALIGNMENT_UNCLEAR"
    kind = Kind.INVALID
    en = "this node holds {count} alignments: name the match job whose tokens the referrals bear (--alignment)"
    zh = "本节点有 {count} 个对齐结果：请用 --alignment 指明转介凭证所属的匹配任务"


class NoReferrals(Failure):
    code = "NO_REFERRALS"
    kind = Kind.NOT_FOUND
    en = "no referrals have been reported to this node under agreement {agreement} yet"
    zh = "协议 {agreement} 下尚无转介上报到本节点"


class StatementNotHere(Failure):
    code = "STATEMENT_NOT_HERE"
    kind = Kind.NOT_FOUND
    en = "this node knows no statement {statement}: `ecohub partner statement list` lists them"
    zh = "本节点没有结算单 {statement}：可用 `ecohub partner statement list` 查看"


class StatementAmbiguous(Failure):
    code = "STATEMENT_NOT_UNIQUE"
    kind = Kind.INVALID
    en = "{statement} is the start of more than one statement: give more digits (at least 8)"
    zh = "{statement} 对应多张结算单：请给出更多位数（至少 8 位）"


class StatementDiffersHere(Failure):
    code = "STATEMENT_DIFFERS_HERE"
    kind = Kind.INTEGRITY
    en = "the statement {statement} differs from this node's own computation in {count} places: it is not signed; \
`ecohub partner statement show` lists them"
    zh = "结算单 {statement} 与本节点计算结果有 {count} 处不一致，不予签署；可用 `ecohub partner statement show` 查看"


class StatementDecided(Failure):
    code = "STATEMENT_DECIDED"
    kind = Kind.CONFLICT
    en = "the statement {statement} is {state} here and can't be {wanted} any more"
    zh = "结算单 {statement} 在本节点为 {state}，不能再{wanted}"


class AdjustmentNotHere(Failure):
    code = "ADJUSTMENT_NOT_HERE"
    kind = Kind.NOT_FOUND
    en = "this node knows no adjustment {adjustment}: `ecohub partner statement adjustments` lists them"
    zh = "本节点没有调整 {adjustment}：可用 `ecohub partner statement adjustments` 查看"


class NothingToAnswer(Failure):
    code = "NOTHING_TO_ANSWER"
    kind = Kind.NOT_FOUND
    en = "the statement {statement} has no dispute of the other party that waits for an answer"
    zh = "结算单 {statement} 没有待答复的对方异议"


class LineNotThere(Failure):
    code = "LINE_NOT_THERE"
    kind = Kind.INVALID
    en = "the statement {statement} has no line {line}: it has {lines} lines, counted from 0"
    zh = "结算单 {statement} 没有第 {line} 行：共 {lines} 行，从 0 起计"


class PaidMarkRefused(Failure):
    code = "PAID_MARK_REFUSED"
    kind = Kind.REFUSED
    en = "this node does not mark the statement {statement} as paid: {why}"
    zh = "本节点不将结算单 {statement} 标记为已付：{why}"


class FeeRefused(Failure):
    code = "CHAIN_FEE_REFUSED"
    kind = Kind.REFUSED
    en = "this node signs nothing for statement {statement}: the transaction's fee is beyond this node's limit"
    zh = "本节点不为结算单 {statement} 签署交易：其费用超出本节点上限"


class NotDisputed(Failure):
    code = "NOT_DISPUTED_HERE"
    kind = Kind.REFUSED
    en = "nobody here has disputed the statement {statement} by {dispute}: nothing is signed for the chain"
    zh = "本方人员未以 {dispute} 对结算单 {statement} 提出异议：不签署链上交易"


class NotPaidYet(Failure):
    code = "STATEMENT_NOT_PAID_HERE"
    kind = Kind.CONFLICT
    en = "the statement {statement} is {state} here: its payment is acknowledged once the hub told that it is PAID"
    zh = "结算单 {statement} 在本节点为 {state}：待枢纽告知已付款（PAID）后方可确认收款"


class NotAcknowledged(Failure):
    code = "NOT_ACKNOWLEDGED_HERE"
    kind = Kind.REFUSED
    en = "nobody here has acknowledged the payment of {statement}: nothing is signed for the chain"
    zh = "本方人员尚未确认收到 {statement} 的款项：不签署链上交易"


class AlignmentOfOthers(Failure):
    code = "ALIGNMENT_OF_OTHERS"
    kind = Kind.REFUSED
    en = "{partner} took no part in the alignment {alignment}: its tokens are no referrals between these two parties"
    zh = "{partner} 未参与对齐任务 {alignment}：其凭证不能作为双方之间的转介"


class StatementTurnedBack(Failure):
    code = "STATEMENT_TURNED_BACK"
    kind = Kind.INTEGRITY
    en = "statement {statement} was {state} here; the hub now says {found}, which can't follow from it"
    zh = "结算单 {statement} 在本节点为 {state}；枢纽现称 {found}，两者矛盾"


class PlaceConfirmed(Failure):
    code = "STATEMENT_PLACE_CONFIRMED"
    kind = Kind.CONFLICT
    en = "{other} was confirmed for the same place: dispute it first, or both could be settled at the hub's choice"
    zh = "同一序位的结算单 {other} 已确认：请先对其提出异议，否则枢纽可任选其一结算"
