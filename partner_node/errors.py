"""What a node refuses, each with a stable code and a sentence in English and Chinese."""

from privacy.errors import Failure, Kind


class SettingsInvalid(Failure):
    code = "NODE_SETTINGS_INVALID"
    kind = Kind.INVALID
    en = "{file}: {why}"
    zh = "配置文件 {file} 有误：{why}"


class KeyFileMissing(Failure):
    code = "KEY_FILE_MISSING"
    kind = Kind.NOT_FOUND
    en = "the key file {file} is missing: run `ecohub partner init`, or restore it from the backup"
    zh = "密钥文件 {file} 不存在：请运行 `ecohub partner init`，或从备份恢复"


class KeyFileOpen(Failure):
    code = "KEY_FILE_OPEN"
    kind = Kind.REFUSED
    en = "the key file {file} has mode {mode}: others could read it; run `chmod 600 {file}`"
    zh = "密钥文件 {file} 权限为 {mode}，他人可读；请运行 `chmod 600 {file}`"


class KeyFileMalformed(Failure):
    code = "KEY_FILE_MALFORMED"
    kind = Kind.INVALID
    en = "the key file {file} does not hold a {what}"
    zh = "密钥文件 {file} 中没有合法的 {what}"


class KeysExist(Failure):
    code = "KEYS_EXIST"
    kind = Kind.CONFLICT
    en = "{folder} already holds this node's keys; they are never overwritten"
    zh = "{folder} 中已有本节点密钥，不会覆盖"


class NotEnrolled(Failure):
    code = "NOT_ENROLLED"
    kind = Kind.UNAVAILABLE
    en = "this node has no certificate of the alliance yet: run `ecohub partner enrol INVITE`"
    zh = "本节点尚无联盟证书：请运行 `ecohub partner enrol 邀请码`"


class CertificateNotOurs(Failure):
    code = "CERTIFICATE_NOT_OURS"
    kind = Kind.INTEGRITY
    en = "the hub's answer is no certificate of the alliance for this node's name and key; the old one stays in place"
    zh = "枢纽返回的不是本联盟为本节点名称与密钥签发的证书；保留原证书"


class MembershipDiffers(Failure):
    code = "MEMBERSHIP_DIFFERS"
    kind = Kind.INTEGRITY
    en = (
        "the hub now names another alliance or log key than {file} has pinned: it could disown its receipts; "
        "ask the operator and the other parties, and remove the file only if they all agree"
    )
    zh = (
        "枢纽返回的联盟名称或日志公钥与 {file} 中固定的不一致，可能借此否认回执："
        "请向运营方及其他各方核实，一致同意后方可删除该文件"
    )


class AuthorityMissing(Failure):
    code = "AUTHORITY_MISSING"
    kind = Kind.NOT_FOUND
    en = "the alliance's CA certificate {file} is missing: get it from the operator over a channel you trust"
    zh = "缺少联盟 CA 证书 {file}：请通过可信渠道向运营方获取"


class AuthorityDiffers(Failure):
    code = "AUTHORITY_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the hub names another certificate authority than {file}: ask the operator over another channel"
    zh = "枢纽返回的证书机构与 {file} 不一致：请通过其他渠道向运营方核实"


class StoreOtherVersion(Failure):
    code = "NODE_STORE_OTHER_VERSION"
    kind = Kind.CONFLICT
    en = "the node's database has schema version {found}, this program needs {needed}"
    zh = "节点数据库结构版本为 {found}，本程序需要 {needed}"


class UnknownRequest(Failure):
    code = "UNKNOWN_REQUEST"
    kind = Kind.INVALID
    en = "this node knows no request of the kind {request}: are both sides of the same version?"
    zh = "本节点不认识请求类型 {request}：双方版本是否一致？"


class UnknownJob(Failure):
    code = "UNKNOWN_JOB"
    kind = Kind.NOT_FOUND
    en = "this node knows no job {job}: `ecohub partner jobs` lists them"
    zh = "本节点没有任务 {job}：可用 `ecohub partner jobs` 查看"


class AmbiguousJob(Failure):
    code = "AMBIGUOUS_JOB"
    kind = Kind.INVALID
    en = "{job} is the start of {count} jobs: give more digits"
    zh = "{job} 对应 {count} 个任务：请输入更多位数"


class DigestDiffers(Failure):
    code = "DIGEST_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the content of this {what} has the digest {found}, not {expected}: it was changed"
    zh = "该 {what} 内容的摘要为 {found}，而非 {expected}：内容已被改动"


class ProposalInvalid(Failure):
    code = "PROPOSAL_MALFORMED"
    kind = Kind.INVALID
    en = "the proposal is malformed: {why}"
    zh = "任务提案格式错误：{why}"


class NotAParty(Failure):
    code = "NOT_A_PARTY"
    kind = Kind.REFUSED
    en = "this node is not a party of {job}"
    zh = "本节点不是 {job} 的参与方"


class OwnKeyDiffers(Failure):
    code = "OWN_KEY_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the proposal names another {key} key for this node than the one it holds"
    zh = "提案中为本节点列出的 {key} 密钥与本节点实际密钥不符"


class PeerNotPinned(Failure):
    code = "PEER_NOT_PINNED"
    kind = Kind.REFUSED
    en = "the card of {peer} is not pinned here: check it with them, then run `ecohub partner pin CARD`"
    zh = "尚未固定 {peer} 的名片：请与对方核对后运行 `ecohub partner pin 名片文件`"


class PeerKeyDiffers(Failure):
    code = "PEER_KEY_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the proposal names another {key} key for {peer} than its pinned card: do not approve, ask {peer}"
    zh = "提案中 {peer} 的 {key} 密钥与已固定名片不符：请勿同意，先与 {peer} 核实"


class CardAlreadyPinned(Failure):
    code = "CARD_ALREADY_PINNED"
    kind = Kind.CONFLICT
    en = "another card of {peer} is pinned here; after checking with them, repeat with --replace"
    zh = "已固定 {peer} 的另一张名片；与对方核实后请加 --replace 重试"


class JobExpired(Failure):
    code = "JOB_EXPIRED"
    kind = Kind.REFUSED
    en = "the job {job} expired at {expires}"
    zh = "任务 {job} 已于 {expires} 过期"


class JobEnded(Failure):
    code = "JOB_ENDED"
    kind = Kind.CONFLICT
    en = "the job {job} ended as {state}: there is nothing to approve; `ecohub partner jobs {job}` shows why"
    zh = "任务 {job} 已以 {state} 结束，无需审批；原因见 `ecohub partner jobs {job}`"


class AlreadyDecided(Failure):
    code = "ANSWERED_OTHERWISE"
    kind = Kind.CONFLICT
    en = "{job} was already answered with {decision}"
    zh = "任务 {job} 已答复：{decision}"


class NotApproved(Failure):
    code = "NOT_APPROVED"
    kind = Kind.REFUSED
    en = "{who} has not approved exactly this job ({job})"
    zh = "{who} 未批准此任务（{job}）"


class GrantRefused(Failure):
    code = "GRANT_REFUSED"
    kind = Kind.REFUSED
    en = "the vault refuses to read: {why}"
    zh = "数据域拒绝读取：{why}"


class AssetUnknown(Failure):
    code = "ASSET_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "this node has no data asset {asset}"
    zh = "本节点没有数据资产 {asset}"


class ColumnNotOffered(Failure):
    code = "COLUMN_NOT_OFFERED"
    kind = Kind.REFUSED
    en = "the column {column} of {asset} is not offered: {why}"
    zh = "资产 {asset} 的字段 {column} 不对外提供：{why}"


class PurposeNotOffered(Failure):
    code = "PURPOSE_NOT_OFFERED"
    kind = Kind.REFUSED
    en = "the asset {asset} is not offered for the purpose {purpose}"
    zh = "资产 {asset} 不用于目的 {purpose}"


class SourceMissing(Failure):
    code = "SOURCE_MISSING"
    kind = Kind.NOT_FOUND
    en = "the source of {asset} is not there: {why}"
    zh = "资产 {asset} 的数据源不存在：{why}"


class SourceUnreadable(Failure):
    code = "SOURCE_UNREADABLE"
    kind = Kind.INVALID
    en = "the source of {asset} can't be read ({why}): check its format"
    zh = "资产 {asset} 的数据源无法读取（{why}）：请检查格式"


class SourceColumnMissing(Failure):
    code = "SOURCE_COLUMN_MISSING"
    kind = Kind.INVALID
    en = "the source of {asset} has no column {column}: correct the settings or the file"
    zh = "资产 {asset} 的数据源没有字段 {column}：请更正配置或文件"


class SourceColumnUnclassified(Failure):
    code = "SOURCE_COLUMN_UNCLASSIFIED"
    kind = Kind.REFUSED
    en = "the column {column} of {asset} has no class: name C1, C2 or C3 for it under [asset.columns]"
    zh = "资产 {asset} 的字段 {column} 未分级：请在 [asset.columns] 中标注 C1、C2 或 C3"


class SourceColumnNotNumeric(Failure):
    code = "SOURCE_COLUMN_NOT_NUMERIC"
    kind = Kind.INVALID
    en = "the column {column} of {asset} holds values that are not numbers ({count}): training needs numbers"
    zh = "资产 {asset} 的字段 {column} 含非数值（{count} 个）：训练需要数值"


class SourceEmpty(Failure):
    code = "SOURCE_EMPTY"
    kind = Kind.INVALID
    en = "the source of {asset} has no rows"
    zh = "资产 {asset} 的数据源没有任何记录"


class SourceDuplicateIds(Failure):
    """The hub and the other parties read it too. How many there are, `check-data` tells this node's own people."""

    code = "SOURCE_DUPLICATE_IDS"
    kind = Kind.INVALID
    en = "some ids of {asset} occur more than once: values are read from one row a client; `check-data` counts them"
    zh = "资产 {asset} 有客户号重复：读取数值要求每个客户一行；重复数可用 `check-data` 查看"


class NoConsent(Failure):
    code = "NO_CONSENT"
    kind = Kind.REFUSED
    en = "no client of {asset} has consented to the purpose {purpose}: import consent records first"
    zh = "资产 {asset} 没有客户同意目的 {purpose}：请先导入授权记录"


class ConsentFileInvalid(Failure):
    code = "CONSENT_FILE_INVALID"
    kind = Kind.INVALID
    en = "line {line} of the consent file: {why}; nothing was imported"
    zh = "授权文件第 {line} 行：{why}；未导入任何记录"


class CommitmentsDiffer(Failure):
    code = "COMMITMENTS_DIFFER"
    kind = Kind.INTEGRITY
    en = "the commitments of this match are not one of each party, or not of this job: {why}"
    zh = "本次匹配的承诺与各参与方不一致：{why}"


class StepOutOfPlace(Failure):
    code = "STEP_OUT_OF_PLACE"
    kind = Kind.CONFLICT
    en = "the job {job} is at step {expected} here, the request is for step {found}"
    zh = "任务 {job} 在本节点处于第 {expected} 步，请求为第 {found} 步"


class JobOver(Failure):
    code = "JOB_OVER"
    kind = Kind.CONFLICT
    en = "the job {job} is over at this node and can't begin again: propose it anew"
    zh = "任务 {job} 在本节点已结束，不能重新开始：请重新发起"


class AlignmentMissing(Failure):
    code = "ALIGNMENT_MISSING"
    kind = Kind.NOT_FOUND
    en = "this node holds no alignment of the match {job}"
    zh = "本节点没有匹配任务 {job} 的对齐结果"


class AlignmentTooOld(Failure):
    code = "ALIGNMENT_NOT_CURRENT"
    kind = Kind.CONFLICT
    en = "{count} aligned clients are no longer there or have no consent now: match again before training"
    zh = "{count} 个对齐客户已不存在或不再授权：请重新匹配后再训练"


class CheckpointRefused(Failure):
    code = "CHECKPOINT_REFUSED"
    kind = Kind.INTEGRITY
    en = "the {log} checkpoint is not co-signed: {why}; keep this message and ask the hub's operator and the partners"
    zh = "拒绝会签 {log} 检查点：{why}；请保留此信息并向运营方及其他伙伴核实"


class ReceiptRefused(Failure):
    code = "RECEIPT_REFUSED"
    kind = Kind.INTEGRITY
    en = "the hub's receipt is refused: {why}"
    zh = "拒绝枢纽的回执：{why}"


class NodeNotRunning(Failure):
    code = "NODE_NOT_RUNNING"
    kind = Kind.UNAVAILABLE
    en = "the node does not answer at {socket}: start it with `ecohub partner run`"
    zh = "节点未在 {socket} 应答：请运行 `ecohub partner run`"


class SocketPathTooLong(Failure):
    code = "SOCKET_PATH_TOO_LONG"
    kind = Kind.INVALID
    en = "the path of the local socket has {length} bytes, at most 100 work: choose a shorter [node] dir"
    zh = "本地套接字路径为 {length} 字节，最多 100：请缩短 [node] dir"


class UnknownCommand(Failure):
    code = "UNKNOWN_COMMAND"
    kind = Kind.INVALID
    en = "the node knows no command {command}"
    zh = "节点不认识命令 {command}"


class CommandInvalid(Failure):
    code = "COMMAND_INVALID"
    kind = Kind.INVALID
    en = "the command {command} lacks or misstates {what}"
    zh = "命令 {command} 缺少或错误：{what}"


class ResultsNotWritable(Failure):
    code = "RESULTS_NOT_WRITABLE"
    kind = Kind.UNAVAILABLE
    en = (
        "{folder} can't be written ({why}), and what a run leaves for this side's people goes there: make room, or let "
        "the node's user write there; then approve again, or have the run resumed"
    )
    zh = "无法写入结果目录 {folder}（{why}）：请腾出空间或授予节点用户写权限，然后重新审批或恢复运行"


class ClientNotInRun(Failure):
    code = "CLIENT_NOT_IN_RUN"
    kind = Kind.NOT_FOUND
    en = "this client is none of the common clients of the run {job}, so it has no score there"
    zh = "该客户不在任务 {job} 的共同客户中，没有评分"
