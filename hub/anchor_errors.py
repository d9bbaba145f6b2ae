"""Failures of the contract that keeps the audit log's checkpoints, seen from the hub."""

from privacy.errors import Failure, Kind


class AnchorNotOurs(Failure):
    code = "ANCHOR_CONTRACT_DIFFERS"
    kind = Kind.INTEGRITY
    en = (
        "[chain] anchor in {file} names {contract}, where chain {chain_id} holds no CheckpointAnchor of this version: "
        "deploy one (ecohub sandbox chain anchor deploy) and write its address there, or check [chain] endpoint"
    )
    zh = (
        "{file} 的 [chain] anchor 指向 {contract}，链 {chain_id} 在该地址上没有本版本的 CheckpointAnchor："
        "请部署（ecohub sandbox chain anchor deploy）并填写其地址，或检查 [chain] endpoint"
    )


class AnchorOfAnother(Failure):
    code = "ANCHOR_SUBMITTER_DIFFERS"
    kind = Kind.REFUSED
    en = (
        "the anchor {contract} takes checkpoints of {origin} from {found}, not from this hub's account {account}: its "
        "governor {governor} names the account (ecohub sandbox chain anchor submitter --anchor {contract} "
        "--origin {origin} --account {account}), then start the hub again"
    )
    zh = (
        "锚定合约 {contract} 只接受 {found} 提交 {origin} 的检查点，而本枢纽账户为 {account}："
        "请由其治理者 {governor} 指定该账户（ecohub sandbox chain anchor submitter --anchor {contract} "
        "--origin {origin} --account {account}），然后重启枢纽"
    )


class AnchoringStopped(Failure):
    code = "ANCHOR_STOPPED_BY_ERROR"
    kind = Kind.UNAVAILABLE
    en = "the audit log was not anchored by an unforeseen error ({error}): the hub's log tells where; it is tried again"
    zh = "审计日志因未预料的错误（{error}）未能锚定：详见枢纽日志；稍后会重试"
