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
