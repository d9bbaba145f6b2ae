"""Failures of payment and reconciliation."""

from privacy.errors import Failure, Kind


class BankFileInvalid(Failure):
    code = "BANK_FILE_INVALID"
    kind = Kind.INVALID
    en = "the bank file can't be used: {why}; nothing of it was taken"
    zh = "银行文件不可用：{why}；未导入任何内容"


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
