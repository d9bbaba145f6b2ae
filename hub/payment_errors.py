"""Failures of payment and reconciliation."""

from privacy.errors import Failure, Kind


class BankFileInvalid(Failure):
    code = "BANK_FILE_INVALID"
    kind = Kind.INVALID
    en = "the bank file can't be used: {why}; nothing of it was taken"
    zh = "银行文件不可用：{why}；未导入任何内容"


class BankFormatUnknown(Failure):
    code = "BANK_FORMAT_UNKNOWN"
    kind = Kind.INVALID
    en = "the bank file is {found}; camt.053.001.02 and camt.053.001.08 of ISO 20022 are read: ask the bank for one of \
these, or take its CSV with a profile; nothing of it was taken"
    zh = "银行文件为 {found}；可读取 ISO 20022 的 camt.053.001.02 与 camt.053.001.08：请向银行索取其中之一，\
或以映射配置导入其 CSV；未导入任何内容"


class BankFileTooLarge(Failure):
    code = "BANK_FILE_TOO_LARGE"
    kind = Kind.INVALID
    en = (
        "the bank file is too large: it has {found}, at most {limit} are read at once; ask the bank for one file a day \
(or a shorter part of the day), or cut a CSV between two rows; nothing of it was taken"
    )
    zh = "银行文件过大：{found}，每次最多读取 {limit}；请向银行索取按日（或更短时段）的文件，或在两行之间拆分 CSV；\
未导入任何内容"


class BankRowsRefused(Failure):
    code = "BANK_ROWS_REFUSED"
    kind = Kind.INVALID
    en = "{count} rows of the bank file are wrong, nothing of it was taken: {rows}"
    zh = "银行文件中有 {count} 行有误，整个文件未导入：{rows}"


class BankBalanceDiffers(Failure):
    code = "BANK_BALANCE_DIFFERS"
    kind = Kind.INVALID
    en = "the bank statement {statement} does not tie out in {what}: its entries give {found}, it says {stated}; \
nothing of it was taken"
    zh = "银行对账单 {statement} 的 {what} 不平：逐笔合计为 {found}，对账单所载为 {stated}；未导入任何内容"


class BankEntriesAlike(Failure):
    code = "BANK_ENTRIES_ALIKE"
    kind = Kind.CONFLICT
    en = "the bank statement {statement} has bookings ({count}, the first in row {row}) that statement {other} of the \
bank file {file} holds alike in every field, and it can't be told whether they are the same: {why}; nothing of it was \
taken. Import a file with balances that opens where the other closes, or look at both and say --alike same or \
--alike new"
    zh = "银行对账单 {statement} 中有 {count} 笔流水（首笔在第 {row} 行）与银行文件 {file} 的对账单 {other} \
各项完全相同，无法判断是否为同一笔（{why}）；未导入任何内容。请导入期初余额等于另一份期末余额的文件，\
或核对两份后指定 --alike same（同一笔）或 --alike new（新流水）"


class BankProfileInvalid(Failure):
    code = "BANK_PROFILE_INVALID"
    kind = Kind.INVALID
    en = "the profile of the bank's CSV is wrong in {field}: {why}"
    zh = "银行 CSV 映射配置的 {field} 有误：{why}"


class BankAccountDiffers(Failure):
    code = "BANK_ACCOUNT_DIFFERS"
    kind = Kind.INVALID
    en = "the bank file is of account {found}, not of {expected}; nothing of it was taken"
    zh = "银行文件所属账户为 {found}，而非 {expected}；未导入任何内容"


class PaymentFileInvalid(Failure):
    code = "PAYMENT_FILE_INVALID"
    kind = Kind.INTEGRITY
    en = "the payment file is not what its schema says, at {where}: {why}; nothing was ordered"
    zh = "付款文件不符合其模式定义，位置 {where}：{why}；未生成任何付款指令"


class PaymentDetailsInvalid(Failure):
    code = "PAYMENT_DETAILS_INVALID"
    kind = Kind.INVALID
    en = "the payment details are wrong in {field}: {why}"
    zh = "收付款信息的 {field} 有误：{why}"


class PaymentDetailsMissing(Failure):
    code = "PAYMENT_DETAILS_MISSING"
    kind = Kind.CONFLICT
    en = "there are no approved payment details for {missing}: one person of finance proposes them, another approves \
(`ecohub finance details propose`, `approve`)"
    zh = "{missing} 没有已批准的收付款信息：须由一名财务人员录入（`ecohub finance details propose`）、\
另一名复核（`approve`）"


class PaymentDetailsUnknown(Failure):
    code = "PAYMENT_DETAILS_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there are no payment details {digest}; `ecohub finance details show` lists them"
    zh = "不存在收付款信息 {digest}；可用 `ecohub finance details show` 查看列表"


class FourEyes(Failure):
    code = "FOUR_EYES"
    kind = Kind.REFUSED
    en = "{person} proposed this: another person of finance must decide it, with a certificate of their own"
    zh = "该项由 {person} 提出，须由另一名财务人员以其本人证书复核"


class ReviewOver(Failure):
    code = "REVIEW_OVER"
    kind = Kind.CONFLICT
    en = "{what} is {state} already"
    zh = "{what} 已为 {state}"


class PaymentDateInvalid(Failure):
    code = "PAYMENT_DATE_INVALID"
    kind = Kind.INVALID
    en = "{date} can't be the day of execution: give a day from {first} on, at most 60 days ahead"
    zh = "{date} 不能作为执行日期：请给出 {first} 起 60 天以内的日期"


class PaymentFormatDiffers(Failure):
    code = "PAYMENT_FORMAT_DIFFERS"
    kind = Kind.CONFLICT
    en = "the payments of {period} are ordered in a file of form {found}: a second form of the same orders could be \
paid twice, fetch that one again"
    zh = "{period} 的付款已以 {found} 格式生成：同一付款若再出另一格式可能重复支付，请重新获取原文件"


class MatchUnknown(Failure):
    code = "MATCH_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no match {match}; `ecohub finance exceptions` lists what is open"
    zh = "不存在匹配 {match}；可用 `ecohub finance exceptions` 查看未决项"


class MatchInvalid(Failure):
    code = "MATCH_INVALID"
    kind = Kind.INVALID
    en = "this can't be matched: {why}"
    zh = "无法匹配：{why}"


class JournalEntryMissing(Failure):
    code = "JOURNAL_ENTRY_MISSING"
    kind = Kind.INTEGRITY
    en = "the journal has no entry of the settled payment {order}: nothing is taken back until this is explained"
    zh = "账簿中没有已结清付款 {order} 的分录；查明原因前不作冲回"


class PayoutNotSigned(Failure):
    code = "PAYOUT_NOT_SIGNED"
    kind = Kind.CONFLICT
    en = "the statement {statement} is paid; the node of {payer} is asked to mark it so on the chain ({why}): settle \
again once it has answered"
    zh = "结算单 {statement} 已付款；已请 {payer} 的节点在链上标记（{why}）：待其应答后再次执行 settle"


class PayoutSignedOtherwise(Failure):
    code = "PAYOUT_SIGNED_OTHERWISE"
    kind = Kind.INTEGRITY
    en = "the payer's node answered for statement {statement} with what was not asked: {what}; nothing was sent"
    zh = "付款方节点对结算单 {statement} 的应答与请求不符：{what}；未发送任何交易"
