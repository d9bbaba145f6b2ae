"""Why a node keeps out of a match although everybody approved it: its own rules on what many jobs together may tell.

The other parties and the hub read these sentences too. They name rules and jobs, and no figure of this node's clients.
"""

from privacy.errors import Failure, Kind


class MinimumTooSmall(Failure):
    code = "MATCH_MINIMUM_TOO_SMALL"
    kind = Kind.REFUSED
    en = (
        "the match would show its result from {found} shared clients on, this node takes part from {needed}: ask for a "
        "job with a minimum of at least {needed} (node.toml, [matching] minimum)"
    )
    zh = (
        "该任务在共同客户达到 {found} 人时即显示结果，本节点要求至少 {needed} 人：请要求最小交集阈值不低于 {needed} "
        "的任务（node.toml 的 [matching] minimum）"
    )


class MonthlyJobsSpent(Failure):
    code = "MATCH_JOBS_SPENT"
    kind = Kind.REFUSED
    en = (
        "{used} matches with {peer} began in {month}, {limit} may: wait for the next month (UTC), or have this node's "
        "people raise jobs_per_month in node.toml (`ecohub partner quota`)"
    )
    zh = (
        "{month} 与 {peer} 的匹配任务已有 {used} 次，上限为 {limit} 次：请等待下月（UTC），或由本节点人员在 node.toml "
        "中调高 jobs_per_month（`ecohub partner quota`）"
    )


class MonthlyIdentifiersSpent(Failure):
    code = "MATCH_IDENTIFIERS_SPENT"
    kind = Kind.REFUSED
    en = (
        "{peer} could test {used} ids here in {month}, this job lets it test {more}, {limit} a month may be: enter "
        "fewer clients, wait for the next month (UTC), or raise peer_identifiers_per_month in node.toml"
    )
    zh = (
        "{peer} 在 {month} 已可测试 {used} 个标识，本任务另允许 {more} 个，每月上限为 {limit} 个：请减少客户数、"
        "等待下月（UTC），或在 node.toml 中调高 peer_identifiers_per_month"
    )


class IdentifierBudgetSpent(Failure):
    code = "MATCH_BUDGET_SPENT"
    kind = Kind.REFUSED
    en = (
        "{peer} could test {used} ids here so far, this job lets it test {more}, {limit} may be over the life of this "
        "node. It never resets by itself: raise peer_identifiers_ever in node.toml if your people so decide"
    )
    zh = (
        "{peer} 至今可测试 {used} 个标识，本任务另允许 {more} 个，节点生命周期内上限为 {limit} 个。额度不会自动重置："
        "如决定放宽，请在 node.toml 中调高 peer_identifiers_ever"
    )


class PeerSetTooLarge(Failure):
    code = "MATCH_PEER_SET_TOO_LARGE"
    kind = Kind.REFUSED
    en = (
        "{peer} committed to {found} clients, this node takes at most {limit} of it: ask {peer} how many clients it "
        "has; peer_clients under [matching.partner.{peer}] in node.toml sets the limit"
    )
    zh = (
        "{peer} 承诺提交 {found} 个客户，本节点最多接受 {limit} 个：请向 {peer} 核实其客户数量；上限由 node.toml 的 "
        "[matching.partner.{peer}] peer_clients 设定"
    )


class OwnSetTooLarge(Failure):
    code = "MATCH_OWN_SET_TOO_LARGE"
    kind = Kind.REFUSED
    en = (
        "the source of {asset} has more clients than are registered in node.toml: check where they come from; "
        "`registered` under its [[asset]] is the number"
    )
    zh = "资产 {asset} 的数据源客户数多于 node.toml 登记数：请核实其来源；登记数为该 [[asset]] 下的 `registered`"


class DistinctBudgetSpent(Failure):
    code = "MATCH_DISTINCT_SPENT"
    kind = Kind.REFUSED
    en = (
        "with this set the ids of {asset} ever entered towards {peer} would be more than {limit} percent of the "
        "largest set of one job: clients change slowly, guesses do not; check the source, or raise "
        "own_distinct_percent in node.toml"
    )
    zh = (
        "加上本次集合，资产 {asset} 曾向 {peer} 提交的不同标识将超过单次最大集合的 {limit}%：客户变动缓慢，猜测则不然；"
        "请核实数据源，或在 node.toml 中调高 own_distinct_percent"
    )


class SetsTooAlike(Failure):
    code = "MATCH_SETS_TOO_ALIKE"
    kind = Kind.REFUSED
    en = (
        "the clients of {asset} differ from those of the match {job} with {peer} by fewer than {minimum}: the two "
        "results together would tell about these few; match again when more have changed"
    )
    zh = (
        "资产 {asset} 的客户与任务 {job}（对方 {peer}）相差不足 {minimum} 人：两次结果合在一起会泄露这几人的信息；"
        "请在变动更多后再匹配"
    )


class IdentifiersInSequence(Failure):
    code = "MATCH_IDS_IN_SEQUENCE"
    kind = Kind.REFUSED
    en = (
        "more than {limit} ids of {asset} follow each other in equal steps: so look guessed ids, not clients; check "
        "the source (`consecutive` in node.toml is the limit)"
    )
    zh = (
        "资产 {asset} 有超过 {limit} 个标识等差连续：这像是猜测的号码而非客户；请核实数据源（上限为 node.toml 的 "
        "`consecutive`）"
    )


class OverlapAlarm(Failure):
    code = "MATCH_ALARM_STANDS"
    kind = Kind.REFUSED
    en = (
        "the share of common clients in the match {job} with {peer} raised an alarm at this node: its people must look "
        "into it and clear it (`ecohub partner matching clear {peer}`) before another match"
    )
    zh = (
        "与 {peer} 的任务 {job} 的共同客户占比在本节点触发告警：须由本节点人员核实并解除"
        "（`ecohub partner matching clear {peer}`）后方可再次匹配"
    )


class NoAlarm(Failure):
    code = "MATCH_NO_ALARM"
    kind = Kind.NOT_FOUND
    en = "no alarm stands against {peer}: `ecohub partner quota` shows all partners"
    zh = "没有针对 {peer} 的告警：可用 `ecohub partner quota` 查看所有伙伴"
