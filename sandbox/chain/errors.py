"""Failures of the sandbox chain. Admission texts start with the words other clients use, so tools know them."""

from privacy.errors import Failure, Kind


class GenesisInvalid(Failure):
    code = "CHAIN_GENESIS_INVALID"
    kind = Kind.INVALID
    en = "the genesis file cannot be used: {why}"
    zh = "创世文件不可用：{why}"


class GenesisDiffers(Failure):
    code = "CHAIN_GENESIS_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the ledger was begun with genesis {stored}, the file is {given}; use the right file or another folder"
    zh = "账本的创世摘要为 {stored}，文件为 {given}；请使用正确的创世文件或另选目录"


class LedgerBusy(Failure):
    code = "CHAIN_LEDGER_BUSY"
    kind = Kind.UNAVAILABLE
    en = "another process serves the ledger in {folder}; stop it first"
    zh = "目录 {folder} 的账本正由另一进程使用，请先停止该进程"


class LedgerFull(Failure):
    code = "CHAIN_LEDGER_FULL"
    kind = Kind.UNAVAILABLE
    en = "the disk of the ledger is full and no block was written; make space, then do the same again"
    zh = "账本所在磁盘已满，未写入任何区块；请腾出空间后重复同一操作"


class LedgerLocked(Failure):
    code = "CHAIN_LEDGER_LOCKED"
    kind = Kind.UNAVAILABLE
    en = "another program holds the ledger's file locked and no block was written; end it, then do the same \
again"
    zh = "账本文件被其他程序锁定，未写入任何区块；请结束该程序后重复同一操作"


class LedgerBroken(Failure):
    code = "CHAIN_LEDGER_BROKEN"
    kind = Kind.INTEGRITY
    en = "the ledger's file cannot be read or written ({why}); check the disk, run `ecohub sandbox chain verify`, or \
import an export into a new folder"
    zh = "账本文件无法读写（{why}）；请检查磁盘并执行 `ecohub sandbox chain verify`，或将导出文件导入新目录"


class EnginesDisagree(Failure):
    code = "CHAIN_ENGINES_DISAGREE"
    kind = Kind.INTEGRITY
    en = "the second EVM gives another {what} for transaction {position} of block {number}"
    zh = "第二执行引擎对区块 {number} 第 {position} 笔交易得出不同的{what}"


class ImportUnfinished(Failure):
    code = "CHAIN_IMPORT_UNFINISHED"
    kind = Kind.CONFLICT
    en = "the ledger in {folder} is an import that was interrupted (file {sha256}…): run `ecohub sandbox chain import` \
with the same file again, or take an empty folder"
    zh = "目录 {folder} 的账本导入曾被中断（文件 {sha256}…）：请用同一文件再次执行 `ecohub sandbox chain import`，\
或另选空目录"


class ImportTargetTaken(Failure):
    code = "CHAIN_IMPORT_TARGET"
    kind = Kind.CONFLICT
    en = "there is a ledger in {folder} already and it is kept; import into an empty folder"
    zh = "目录 {folder} 已有账本，予以保留；请导入到空目录"


class ExportTruncated(Failure):
    code = "CHAIN_EXPORT_TRUNCATED"
    kind = Kind.INTEGRITY
    en = "the export {file} ends after {blocks} blocks without its last line: it was cut; copy it again"
    zh = "导出文件 {file} 在 {blocks} 个区块后中断，缺少末行；请重新复制"


class ExportInvalid(Failure):
    code = "CHAIN_EXPORT_INVALID"
    kind = Kind.INVALID
    en = "line {line} of the export cannot be used: {why}"
    zh = "导出文件第 {line} 行不可用：{why}"


class ExportAltered(Failure):
    code = "CHAIN_EXPORT_ALTERED"
    kind = Kind.INTEGRITY
    en = "the export {file} has another SHA-256 than its last line says; the first difference: {where}"
    zh = "导出文件 {file} 的 SHA-256 与末行不符；首处差异：{where}"


class ExportOfAnotherChain(Failure):
    code = "CHAIN_EXPORT_OTHER_CHAIN"
    kind = Kind.INTEGRITY
    en = (
        "the export is of the chain with genesis {found}, expected is {expected}; take the right file or another folder"
    )
    zh = "导出文件所属链的创世摘要为 {found}，应为 {expected}；请使用正确文件或另选目录"


class ExportNotReproduced(Failure):
    code = "CHAIN_EXPORT_NOT_REPRODUCED"
    kind = Kind.INTEGRITY
    en = (
        "block {number} of the export is not what its transactions give when they are run again: {what}; nothing of it \
was written"
    )
    zh = "导出文件的区块 {number} 与其交易重放结果不一致：{what}；该区块未写入"


class PortInUse(Failure):
    code = "CHAIN_PORT_IN_USE"
    kind = Kind.UNAVAILABLE
    en = "port {port} on 127.0.0.1 cannot be opened ({why}); choose another one"
    zh = "无法打开本机端口 {port}（{why}），请换一个端口"


class LedgerAltered(Failure):
    code = "CHAIN_LEDGER_ALTERED"
    kind = Kind.INTEGRITY
    en = "the ledger does not equal its own transactions run again: {what} of block {number}"
    zh = "账本与其交易重放结果不一致：区块 {number} 的 {what}"


class TestClockOff(Failure):
    code = "CHAIN_TEST_CLOCK_OFF"
    kind = Kind.REFUSED
    en = "the clock moves only on a chain that was started with --test-clock"
    zh = "仅以 --test-clock 启动的链可以调整时钟"


class ReadOnly(Failure):
    code = "CHAIN_READ_ONLY"
    kind = Kind.REFUSED
    en = "this listener is read-only: send transactions to the other one"
    zh = "该端口只读，请向另一端口发送交易"


class ChainStopping(Failure):
    code = "CHAIN_STOPPING"
    kind = Kind.UNAVAILABLE
    en = "the chain is stopping; send the same transaction again once it runs"
    zh = "链正在停止；重新启动后请重发同一交易"


class NotAdmitted(Failure):
    """Base of what admission refuses."""

    code = "TRANSACTION_NOT_ADMITTED"
    kind = Kind.REFUSED
    en = "invalid transaction: {why}"
    zh = "交易无效：{why}"


class ForeignChain(NotAdmitted):
    code = "TRANSACTION_FOREIGN_CHAIN"
    en = "invalid chain id for signer: the transaction names chain {found}, this is {expected}"
    zh = "链编号不符：交易为 {found}，本链为 {expected}"


class SenderNotAllowed(NotAdmitted):
    code = "TRANSACTION_SENDER_NOT_ALLOWED"
    en = "sender not allowed: {sender} is not in the genesis file"
    zh = "发送账户 {sender} 不在创世文件的许可名单中"


class FeeNotZero(NotAdmitted):
    code = "TRANSACTION_FEE"
    en = "gas price {price}: this chain knows no fees, give 0"
    zh = "燃料价格 {price}：本链不收费用，应为 0"


class GasOutOfRange(NotAdmitted):
    code = "TRANSACTION_GAS"
    en = "{why}: {gas} gas is given, {least} to {most} is possible"
    zh = "燃料不在范围（{why}）：给出 {gas}，应在 {least} 至 {most} 之间"


class AlreadyKnown(NotAdmitted):
    code = "TRANSACTION_ALREADY_KNOWN"
    kind = Kind.CONFLICT
    en = "already known: {transaction}"
    zh = "交易已存在：{transaction}"


class NonceOutOfOrder(NotAdmitted):
    code = "TRANSACTION_NONCE"
    kind = Kind.CONFLICT
    en = "{why}: the account's next nonce is {expected}, the transaction has {found}"
    zh = "交易序号不符（{why}）：账户下一序号为 {expected}，交易为 {found}"


class InsufficientFunds(NotAdmitted):
    code = "TRANSACTION_FUNDS"
    en = "insufficient funds for the value sent by {sender}"
    zh = "账户 {sender} 余额不足以转账"
