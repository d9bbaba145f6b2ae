"""Findings of an examination: values with a stable code, never exceptions; and the sheet that collects them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from privacy.printable import printable

Facts: TypeAlias = "dict[str, str | int]"

ERROR, WARNING = "error", "warning"

# code → (severity, English, Chinese); facts fill the templates
CATALOGUE: dict[str, tuple[str, str, str]] = {
    "ENTRY_ALTERED": (ERROR, "the file's bytes are not those of the manifest", "文件内容与清单摘要不符"),
    "ENTRY_MISSING": (ERROR, "the manifest lists this file, the bundle lacks it", "清单列有该文件，证据包中缺失"),
    "ENTRY_UNLISTED": (ERROR, "the file is not in the manifest", "该文件不在清单中"),
    "ENTRY_UNKNOWN": (
        ERROR,
        "no file of a bundle has this name: nothing examines it",
        "证据包格式中没有该文件名：无核验覆盖",
    ),
    "PERIOD_WITHOUT_STATEMENT": (
        WARNING,
        "the bundle says it is of {period}; it holds no statement of that period",
        "证据包标注期间为 {period}，其中没有该期间的结算单",
    ),
    "BUNDLE_NOT_EXACT": (
        ERROR,
        "the archive itself was altered: its bytes are not those its entries give",
        "归档文件本身被改动：字节与其条目不一致",
    ),
    "RECORD_UNREADABLE": (ERROR, "the record can't be read: {why}", "记录无法读取：{why}"),
    "RECORD_REPEATED": (ERROR, "the record stands there a second time", "该记录重复出现"),
    "DOCUMENT_MISPLACED": (
        ERROR,
        "a {kind} signed by {signer} does not belong under this name",
        "{signer} 签署的 {kind} 不应使用此文件名",
    ),
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
    "PARTNER_NOT_VERIFIED": (
        WARNING,
        "{partner} has no part in trust.toml and is no party of a statement; not verified is what it signed: {what}",
        "{partner} 在 trust.toml 中没有对应部分，且不是任何结算单的当事方；其签署内容未经核验：{what}",
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
    "APPROVAL_OF_OTHER": (
        ERROR,
        "the approval is of another proposal or partner: {what}",
        "该审批针对另一提案或伙伴：{what}",
    ),
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
    "CHECKPOINT_MISSING": (
        ERROR,
        "{partner} co-signed the {log} log at size {size}; the hub's own checkpoint of it is missing",
        "{partner} 共签了 {log} 日志规模 {size} 的检查点，证据包中缺少枢纽自身的该检查点",
    ),
    "COSIGNATURE_INVALID": (
        ERROR,
        "this is no party's co-signature of a log of this alliance",
        "这不是任何一方对本联盟日志的共签",
    ),
    "LOG_NOT_WITNESSED": (
        ERROR,
        "trust.toml names no co-signed checkpoint of the {log} log: a shortened or rewritten log would not be noticed",
        "trust.toml 未列出 {log} 日志的任何共签检查点：无法发现日志被截短或改写",
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
    "AGREEMENT_NOT_APPROVED": (
        ERROR,
        "the agreement {digest} is {state}; a statement needs one that both parties approved",
        "协议 {digest} 状态为 {state}；结算单须依据双方已批准的协议",
    ),
    "CONTRIBUTION_DIFFERS": (ERROR, "the receipt of contributions does not hold: {why}", "贡献回执不成立：{why}"),
    "CONTRIBUTION_MISSING": (
        ERROR,
        "the run's plan asks for contribution, and no receipt of it is in the bundle",
        "该任务的方案要求度量贡献，证据包中没有其回执",
    ),
    "MODEL_LINEAGE_DIFFERS": (
        ERROR,
        "the model's registration is not what its run gives: {why}",
        "模型登记与其训练任务不符：{why}",
    ),
    "MODEL_STEP_DIFFERS": (
        ERROR,
        "step {number} of the model {name} does not hold: {why}",
        "模型 {name} 的第 {number} 步不成立：{why}",
    ),
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
    "STATEMENT_PLACE_DIFFERS": (
        ERROR,
        "{field} is {stored}; after the statement before it, it must be {place}",
        "{field} 为 {stored}，按其前一张结算单应为 {place}",
    ),
    "STATEMENT_SECOND": (
        ERROR,
        "the agreement has another living statement of {period}: {other}",
        "该协议在 {period} 期间另有有效结算单：{other}",
    ),
    "STATEMENT_ONE_HAND": (
        ERROR,
        "nobody else released what {maker} made (released by {checker}): two people of finance are needed",
        "{maker} 制作的结算单未经他人复核发出（复核人 {checker}）：须由两名财务人员完成",
    ),
    "DISPUTE_IGNORED": (
        ERROR,
        "{partner} signed an objection to this statement, yet it is {state}",
        "{partner} 已签署对该结算单的异议，而其状态为 {state}",
    ),
    "REPORT_LEFT_OUT": (
        ERROR,
        "the report was logged after the statement {statement} of its period, and no statement counts it",
        "该报告在其期间的结算单 {statement} 之后入日志，没有任何结算单计入",
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
    "CHAIN_NOT_EXAMINED": (
        ERROR,
        "the chain's blocks carry no genesis document: this version runs the sandbox chain again and no other, so "
        "nothing the books say of the chain is checked",
        "链上区块没有创世文件：本版本仅能重放沙盒链，因此账簿中关于链的内容均未核验",
    ),
    "CHAIN_OTHER_GENESIS": (ERROR, "the chain starts from another genesis: {found}", "链的创世文件不同：{found}"),
    "CHAIN_BROKEN": (ERROR, "the chain does not hold: {why}", "链校验不通过：{why}"),
    "CHAIN_REPLAY_DIFFERS": (
        ERROR,
        "run again in a second EVM, {what} differs",
        "在第二个 EVM 中重放，{what} 不一致",
    ),
    "CHAIN_EVENT_UNKNOWN": (
        ERROR,
        "the chain holds a statement that the bundle does not: {digest}",
        "链上有证据包未包含的结算单：{digest}",
    ),
    "CHAIN_OTHER_CONTRACT": (
        ERROR,
        "the bundle names another contract or chain than the parties",
        "证据包所列合约或链与各方所述不同",
    ),
    "ANCHOR_ROOT_DIFFERS": (
        ERROR,
        "the {log} log is not the one that the hub anchored at size {size} in {contract}: a record from {first} to "
        "{last} was changed, removed or put in afterwards ({count} anchored roots differ)",
        "{log} 日志与枢纽在规模 {size} 处锚定于 {contract} 的不同：第 {first} 至 {last} 条中有记录被事后更改、"
        "删除或插入（{count} 个锚定根不符）",
    ),
    "ANCHOR_BEYOND_LOG": (
        ERROR,
        "the hub anchored {size} records of the {log} log in {contract}; the bundle has {found}",
        "枢纽在 {contract} 锚定了 {log} 日志的 {size} 条记录，证据包仅有 {found} 条",
    ),
    "ANCHOR_SIZES_SHRINK": (
        ERROR,
        "the hub anchored the {log} log at size {size} after it had anchored {before}: it was put back or is two",
        "枢纽锚定 {log} 日志规模 {before} 之后又锚定了 {size}：日志被回退，或存在两份日志",
    ),
    "ANCHOR_NOT_FOUND": (
        ERROR,
        "the bundle names {contract} as the anchor of the logs; the chain holds no anchor of this version there",
        "证据包指明日志锚定于 {contract}，链上该地址没有本版本的锚定合约",
    ),
    "ANCHOR_OF_OTHER": (
        WARNING,
        "{account}, which nothing shows to be the hub's, handed in {count} checkpoints of the {log} log to {contract}; "
        "the roots of {differing} are not the bundle's",
        "账户 {account}（无迹象表明属于枢纽）向 {contract} 提交了 {log} 日志的 {count} 个检查点，"
        "其中 {differing} 个的根与证据包不符",
    ),
    "LOG_NOT_ANCHORED": (
        WARNING,
        "the hub is set up to anchor the {log} log in {contract}, which holds no checkpoint of it",
        "枢纽配置为将 {log} 日志锚定于 {contract}，而该合约没有其任何检查点",
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
    "JOURNAL_ENTRY_DIFFERS": (
        ERROR,
        "entry {entry}: {field} is {stored}, the statement gives {recomputed}",
        "分录 {entry}：{field} 为 {stored}，按结算单应为 {recomputed}",
    ),
    "JOURNAL_POINTS_DIFFER": (
        ERROR,
        "the journal owes clients {held} points after statement {statement}, its closing position has {open} open",
        "结算单 {statement} 之后账簿的积分负债为 {held}，其期末持仓的未兑积分为 {open}",
    ),
    "PAYMENT_DIFFERS": (ERROR, "payment {order}: {what} does not hold", "付款 {order}：{what} 不成立"),
    "BANK_ENTRY_DIFFERS": (ERROR, "bank entry {entry}: {what} does not hold", "银行流水 {entry}：{what} 不成立"),
    "BANK_ENTRIES_MISSING": (
        ERROR,
        "the audit log says that {logged} entries of the bank were imported, the bundle has {found}",
        "存证日志记录已导入 {logged} 条银行流水，证据包中有 {found} 条",
    ),
    "BANK_ENTRIES_DIFFER": (
        ERROR,
        "the {count} bank entries that the bundle has of one file are not those that the audit log says it brought",
        "证据包中某银行文件的 {count} 条流水，与存证日志所记该文件带来的流水不符",
    ),
    "BANK_BOOKS_DIFFER": (
        ERROR,
        "{account} holds {held} minor units of {asset}, the bank's entries give {given}",
        "{account} 的 {asset} 余额为 {held}（最小单位），按银行流水应为 {given}",
    ),
    "JOURNAL_ENTRY_UNKNOWN": (ERROR, "entry {entry} belongs to no statement", "分录 {entry} 不属于任何结算单"),
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
    # texts of the bundle: what would repaint the regulator's terminal is shown as a mark
    shown = {name: printable(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
    where = printable(where)
    return Finding(code=code, severity=severity, where=where, en=en.format(**shown), zh=zh.format(**shown))


@dataclass(slots=True)
class Sheet:
    """Where the checks write: findings in the order found, and how many things of each kind were checked and held."""

    findings: dict[Finding, None] = field(default_factory=dict)  # in the order found, each once
    held: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, where: str, **facts: str | int) -> None:
        self.findings.setdefault(finding(code, where, **facts))

    def holds(self, what: str, count: int = 1) -> None:
        self.held[what] += count
