"""Failures of the chain seen against the books: what the chain holds is not what the hub sent to it."""

from privacy.errors import Failure, Kind


class ChainSetBack(Failure):
    code = "CHAIN_SET_BACK"
    kind = Kind.INTEGRITY
    en = (
        "the chain does not hold transaction {nonce} of {sender} where the books do (block {block}): it was set back, "
        "or another chain of the same number answers. Settlement stops. Check [chain] endpoint, put the newest copy of "
        "the ledger in place (ecohub sandbox chain import), then do the same again"
    )
    zh = (
        "账簿记载 {sender} 序号 {nonce} 的交易已封入区块 {block}，链上却没有：链被回退，或应答的是编号相同的另一条链。"
        "结算已停止。请检查 [chain] endpoint，恢复最新账本（ecohub sandbox chain import）后重试"
    )


class ChainNonceTaken(Failure):
    code = "CHAIN_NONCE_TAKEN"
    kind = Kind.INTEGRITY
    en = (
        "another transaction than the hub's was sealed as number {nonce} of {sender}: somebody else uses the key of "
        "the submitter, or a second hub does. Find out who; this step was not done and may be done again"
    )
    zh = (
        "{sender} 序号 {nonce} 上封块的不是本枢纽的交易：他人或另一枢纽正在使用提交账户的密钥。"
        "请先查明；该步骤未执行，可重新执行"
    )


class ChainNonceStuck(Failure):
    code = "CHAIN_NONCE_STUCK"
    kind = Kind.UNAVAILABLE
    en = (
        "transaction {nonce} of {sender} waits behind number {next}, which is not sealed and not the hub's: clear that "
        "one at the chain's node, then do the same again"
    )
    zh = "{sender} 序号 {nonce} 的交易排在序号 {next} 之后，而后者未封块且非本枢纽所发：请在链节点处理后重试"


class ChainStepUnderWay(Failure):
    code = "CHAIN_STEP_UNDER_WAY"
    kind = Kind.CONFLICT
    en = (
        "another hub on these books is sending a chain transaction ({kind} of {subject}); nothing was done here, look "
        "at the statement and try again"
    )
    zh = "同一账簿上的另一枢纽正在发送链上交易（{subject} 的 {kind}）；本次未执行任何操作，请查看结算单后重试"
