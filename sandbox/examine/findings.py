"""Findings of an examination: values with a stable code, never exceptions; and the sheet that collects them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

Facts: TypeAlias = "dict[str, str | int]"

ERROR, WARNING = "error", "warning"

# code → (severity, English, Chinese); facts fill the templates
CATALOGUE: dict[str, tuple[str, str, str]] = {
    "ENTRY_ALTERED": (ERROR, "the file's bytes are not those of the manifest", "文件内容与清单摘要不符"),
    "ENTRY_MISSING": (ERROR, "the manifest lists this file, the bundle lacks it", "清单列有该文件，证据包中缺失"),
    "ENTRY_UNLISTED": (ERROR, "the file is not in the manifest", "该文件不在清单中"),
    "BUNDLE_NOT_EXACT": (
        ERROR,
        "the archive itself was altered: its bytes are not those its entries give",
        "归档文件本身被改动：字节与其条目不一致",
    ),
    "RECORD_UNREADABLE": (ERROR, "the record can't be read: {why}", "记录无法读取：{why}"),
    "NAME_DIFFERS": (
        ERROR,
        "the content's digest is {digest}, not the one in its name",
        "内容摘要为 {digest}，与文件名不符",
    ),
    "OTHER_ALLIANCE": (
        ERROR,
        "the bundle says it is of {found}; trust.toml is of {expected}",
        "证据包属于 {found}，而 trust.toml 属于 {expected}",
    ),
    "SIGNER_UNKNOWN": (
        ERROR,
        "{signer} signed, but trust.toml pins no key of it",
        "签署方 {signer} 的密钥未在 trust.toml 中固定",
    ),
    "KEY_NOT_PINNED": (
        ERROR,
        "the {key} key given for {partner} is not the one that {partner} published itself",
        "{partner} 的 {key} 密钥与其自行公布的不符",
    ),
    "SIGNATURE_INVALID": (ERROR, "the signature of {signer} does not hold", "{signer} 的签名无效"),
    "APPROVAL_MISSING": (
        ERROR,
        "{partner} is a party and signed no approval, yet the {kind} went on to {state}",
        "{partner} 为参与方但未签署审批，而该 {kind} 已进入 {state} 状态",
    ),
    "APPROVAL_OF_OTHER": (ERROR, "the approval is of another proposal: {digest}", "该审批针对另一提案：{digest}"),
    "NOT_LOGGED": (
        ERROR,
        "the audit log has no leaf for this {kind} ({digest})",
        "存证日志中没有该 {kind}（{digest}）的记录",
    ),
    "LEAF_WITHOUT_DOCUMENT": (
        ERROR,
        "leaf {index} records a {kind} with digest {digest}, which is nowhere in the bundle",
        "第 {index} 条存证记录了摘要为 {digest} 的 {kind}，证据包中没有该文件",
    ),
    "LEAF_OUT_OF_ORDER": (ERROR, "leaf {index} stands at place {place}", "第 {index} 条存证出现在位置 {place}"),
    "LEAF_DIFFERS_FROM_RECEIPT": (
        ERROR,
        "leaf {index} is not the one for which the hub gave {signer} a receipt",
        "第 {index} 条存证与枢纽给 {signer} 的回执不符",
    ),
    "CHECKPOINT_INVALID": (
        ERROR,
        "the checkpoint is not signed by the log's key: {why}",
        "检查点未由日志密钥有效签名：{why}",
    ),
    "CHECKPOINT_ROOT_DIFFERS": (
        ERROR,
        "the {log} log signed another root at size {size} than its own records give",
        "{log} 日志在规模 {size} 处签署的根与其记录计算结果不一致",
    ),
    "LOG_TRUNCATED": (
        ERROR,
        "{partner} co-signed {size} records of the {log} log; the bundle has {found}",
        "{partner} 共签了 {log} 日志的 {size} 条记录，证据包仅有 {found} 条",
    ),
    "LOG_REWRITTEN": (
        ERROR,
        "the {log} log is not the one {partner} co-signed at size {size}: "
        "a record from {first} to {last} was changed, removed or put in afterwards",
        "{log} 日志与 {partner} 在规模 {size} 处共签的不同：第 {first} 至 {last} 条中有记录被事后更改、删除或插入",
    ),
    "COSIGNATURE_MISSING": (
        WARNING,
        "the newest {log} checkpoint ({size}) bears no co-signature of {partner}",
        "最新 {log} 检查点（{size}）没有 {partner} 的共签",
    ),
    "AGREEMENT_MISSING": (ERROR, "the agreement {digest} is not in the bundle", "证据包中没有协议 {digest}"),
    "STATEMENT_UNREADABLE": (ERROR, "the statement can't be recomputed: {why}", "结算单无法重算：{why}"),
    "STATEMENT_LINE_DIFFERS": (
        ERROR,
        "line {index}, client token {token}: {field} is {stored}, the signed reports give {recomputed}",
        "第 {index} 行，客户令牌 {token}：{field} 为 {stored}，按已签名报告应为 {recomputed}",
    ),
    "STATEMENT_LINES_COUNT": (
        ERROR,
        "the statement has {stored} lines, the signed reports give {recomputed}",
        "结算单有 {stored} 行，按已签名报告应为 {recomputed} 行",
    ),
    "STATEMENT_FIELD_DIFFERS": (
        ERROR,
        "{field} is {stored}; its lines and salts give {recomputed}",
        "{field} 为 {stored}，按明细与盐值应为 {recomputed}",
    ),
    "STATEMENT_SIGNATURE_INVALID": (
        ERROR,
        "the {role} {partner} did not sign this statement: {why}",
        "{role} {partner} 并未签署此结算单：{why}",
    ),
    "CONFIRMED_BUT_ABSENT": (
        ERROR,
        "{partner} signed a confirmation of statement {statement}, which the bundle does not hold",
        "{partner} 签署确认的结算单 {statement} 不在证据包中",
    ),
    "STATEMENT_NOT_ON_CHAIN": (
        ERROR,
        "the books say {state}; the chain has {found} for this statement",
        "账簿状态为 {state}，链上状态为 {found}",
    ),
    "CHAIN_OTHER_GENESIS": (ERROR, "the chain starts from another genesis: {found}", "链的创世文件不同：{found}"),
    "CHAIN_BROKEN": (ERROR, "the chain does not hold: {why}", "链校验不通过：{why}"),
    "CHAIN_REPLAY_DIFFERS": (
        ERROR,
        "run again in a second EVM, {what} differs",
        "在第二个 EVM 中重放，{what} 不一致",
    ),
    "CHAIN_EVENT_UNKNOWN": (
        WARNING,
        "the chain holds a statement that the bundle does not, perhaps of another period: {digest}",
        "链上有证据包未包含的结算单（可能属于其他期间）：{digest}",
    ),
    "JOURNAL_UNBALANCED": (
        ERROR,
        "entry {entry} does not balance by {minor} minor units",
        "分录 {entry} 借贷差额 {minor}",
    ),
    "JOURNAL_DIFFERS": (
        ERROR,
        "the journal holds {posted} minor units as payable for statement {statement}, its lines give {total}",
        "账簿中结算单 {statement} 的应付为 {posted}，按明细应为 {total}",
    ),
    "CHECK_STOPPED": (
        ERROR,
        "a check could not be finished over this content: {why}; what it would have found is not known",
        "该内容导致检查未能完成：{why}；其结论未知",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not hold. `where` names the file and, where it can be told, the record in it."""

    code: str
    severity: str
    where: str
    en: str
    zh: str

    def to_value(self) -> dict[str, str]:
        return {"code": self.code, "severity": self.severity, "where": self.where, "en": self.en, "zh": self.zh}


def finding(code: str, where: str, **facts: str | int) -> Finding:
    """The finding of a catalogued code."""
    severity, en, zh = CATALOGUE[code]
    return Finding(code=code, severity=severity, where=where, en=en.format(**facts), zh=zh.format(**facts))


@dataclass(slots=True)
class Sheet:
    """Where the checks write: findings in the order found, and how many things of each kind were checked and held."""

    findings: dict[Finding, None] = field(default_factory=dict)  # in the order found, each once
    held: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, where: str, **facts: str | int) -> None:
        self.findings.setdefault(finding(code, where, **facts))

    def holds(self, what: str, count: int = 1) -> None:
        self.held[what] += count
