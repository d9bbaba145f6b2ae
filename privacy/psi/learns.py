"""Who learns what in a match job: the sentences that people approve by, computed from the terms that sessions obey."""

from typing import TypeAlias

from privacy.noise import CountNoise
from privacy.psi.job import (
    ALIGN,
    ALIGN_ALL,
    ALIGN_HIDDEN,
    CACHED,
    COUNT,
    COUNT_THEN_ROWS,
    ECDH,
    LABELS,
    ROWS,
    SUM,
    MatchJob,
)

Pair: TypeAlias = tuple[str, str]  # English, Chinese


def sentences(job: MatchJob) -> list[Pair]:
    """What every mode discloses, around what this one does."""
    sizes = ("every party and the hub learn how many clients each party enters", "各方与枢纽获知每一方提交的客户数量")
    readers = (
        "each number told to the hub, or that it is below the minimum, can be read there by EVERY PERSON OF THE "
        "ALLIANCE who may see jobs, people of each party and of partners that take no part among them",
        "告知枢纽的每一数字（或不足最小人数的结论）可由联盟内有权查看任务的每一位人员在枢纽读取，"
        "包括各参与方及未参与的合作方的人员",
    )
    return [sizes, *_OF_MODE[job.mode](job), readers]


def estimate(noise: CountNoise) -> Pair:
    """What is said beside a figure that carries noise."""
    epsilon = f"{noise.epsilon_milli / 1000:g}"
    return (
        f"an estimate: off by at most {noise.likely} in 95 of 100 cases, by {noise.reach} at the very most "
        f"(noise with epsilon {epsilon}, delta 10^{noise.delta_log10})",
        f"估计值：95% 的情况下误差不超过 {noise.likely}，最大误差 {noise.reach}"
        f"（所加噪声 ε={epsilon}，δ=10^{noise.delta_log10}）",
    )


def _count(job: MatchJob) -> list[Pair]:
    return _exact_count(job) if job.noise is None else _noisy_count(job, job.noise)


def _noisy_count(job: MatchJob, noise: CountNoise) -> list[Pair]:
    (follower,) = job.followers
    en, zh = estimate(noise)
    return [
        (
            f"{job.leader} learns ABOUT how many clients it shares with {follower}, or that the estimate is below "
            f"{job.minimum}; it tells the hub",
            f"{job.leader} 获知与 {follower} 共同客户数量的估计值（低于 {job.minimum} 时仅知不足），并告知枢纽",
        ),
        (f"the number is {en}", f"该数字为{zh}"),
        (
            f"{follower} draws the noise and books it on the privacy budget of {job.party(follower).asset}; it holds "
            f"only as long as {job.leader}'s software is unchanged",
            f"噪声由 {follower} 抽取并计入 {job.party(follower).asset} 的隐私预算；"
            f"仅在 {job.leader} 的软件未被改动时有效",
        ),
    ]


def _exact_count(job: MatchJob) -> list[Pair]:
    others = ", ".join(job.followers)
    return [
        (
            f"{job.leader} learns how many clients it shares with {others}, or that they are fewer than {job.minimum}; "
            f"it tells the hub",
            f"{job.leader} 获知与 {others} 的共同客户数量（少于 {job.minimum} 时仅知不足），并告知枢纽",
        )
    ]


def _align(job: MatchJob) -> list[Pair]:
    others = ", ".join(job.followers)
    return [
        (
            f"EVERY PARTY LEARNS WHICH of its own clients all parties share, if they are {job.minimum} or more",
            f"共同客户达到 {job.minimum} 人时，每一方获知自己的哪些客户为各方共有",
        ),
        (
            f"{job.leader} also learns WHICH of its clients each of {others} has, however few",
            f"{job.leader} 还获知其哪些客户分别存在于 {others}，不受最小人数限制",
        ),
        ("the hub learns the number of common clients", "枢纽获知共同客户数量"),
    ]


def _rows(job: MatchJob) -> list[Pair]:
    (follower,) = job.followers
    said, by_ecdh = [_row_line(job.leader, follower, job.minimum)], job.mode == ROWS and job.engine == ECDH
    if by_ecdh and job.both:
        said.append(_told_line(job.leader, follower, job.minimum))
    elif job.both:
        said.append(_row_line(follower, job.leader, job.minimum))
    else:
        told = f"{follower} learns no client; its people can read the number at the hub"
        said.append((told, f"{follower} 不获知任何客户；其人员可在枢纽读取共同客户数量"))
    hub = ("the hub learns the number of common clients, as it is reported", "枢纽获知所上报的共同客户数量")
    return [*said, *([_unchanged_line(job)] if by_ecdh else []), hub]


def _told_line(leader: str, follower: str, minimum: int) -> Pair:
    return (
        f"{follower} LEARNS WHICH of its own clients {leader} has too, as {leader}'s software tells it; that tells "
        f"none if they are fewer than {minimum}",
        f"{follower} 由 {leader} 的软件告知自己的哪些客户也是 {leader} 的客户；少于 {minimum} 人时不予告知",
    )


def _unchanged_line(job: MatchJob) -> Pair:
    """What engine ecdh does not catch, and engine oprf leaves no room for."""
    (follower,) = job.followers
    en, zh = (
        f"engine ecdh: neither side can make more entries than it committed to, but {follower}'s software, if "
        f"changed, can unseen give {job.leader} other clients than the shared ones",
        f"引擎 ecdh：任何一方的条目数均不能多于其承诺；但 {follower} 的软件若被改动，"
        f"可在不被察觉的情况下使 {job.leader} 得到并非共同的客户",
    )
    if not job.both:
        return en, zh
    return f"{en}, and {job.leader}'s so {follower}", f"{zh}，{job.leader} 的软件若被改动，对 {follower} 亦然"


def _row_line(receiver: str, other: str, minimum: int) -> Pair:
    """The minimum is kept by the receiver's own software: the sentence says so."""
    return (
        f"{receiver} LEARNS WHICH of its own clients {other} has too; "
        f"its own software shows none if they are fewer than {minimum}",
        f"{receiver} 获知自己的哪些客户也是 {other} 的客户；少于 {minimum} 人时由其自身软件不予显示",
    )


def _count_then_rows(job: MatchJob) -> list[Pair]:
    (follower,) = job.followers
    return [
        _both_count(job),
        (
            f"then, only if people of BOTH sides agree (`ecohub partner decide`): {job.leader} LEARNS WHICH of its own "
            f"clients {follower} has too; {follower} learns no client",
            f"随后仅在双方人员均同意时（`ecohub partner decide`）：{job.leader} 获知自己的哪些客户也是 "
            f"{follower} 的客户，{follower} 不获知任何客户",
        ),
    ]


def _labels(job: MatchJob) -> list[Pair]:
    labels, (follower,) = job.labels, job.followers
    assert labels is not None, "mode labels names them"
    return [
        (
            f"{job.leader} LEARNS WHICH of its own clients {follower} has too, AND OF EACH {follower}'s "
            f"{labels.column} (text of at most {labels.length} bytes); its own software shows none if they are fewer "
            f"than {job.minimum}",
            f"{job.leader} 获知自己的哪些客户也是 {follower} 的客户，并获知其中每一名客户的 {follower} 字段 "
            f"{labels.column}（不超过 {labels.length} 字节的文本）；少于 {job.minimum} 人时由其自身软件不予显示",
        ),
        (
            f"a client that {job.leader} only guessed gives its {labels.column} too, if {follower} has it; {follower} "
            "can't tell guesses from clients",
            f"{job.leader} 凭猜测提交的标识若为 {follower} 的客户，同样会给出其 {labels.column}；"
            f"{follower} 无法区分猜测与真实客户",
        ),
        (
            f"{follower} learns no client; its people can read the number at the hub",
            f"{follower} 不获知任何客户；其人员可在枢纽读取共同客户数量",
        ),
        (
            "the hub learns the number of common clients, as it is reported, and no label",
            "枢纽获知所上报的共同客户数量，不获知任何标签",
        ),
    ]


def _cached(job: MatchJob) -> list[Pair]:
    terms, (follower,) = job.cached, job.followers
    assert terms is not None, "mode cached names them"
    leader, number, ends = job.leader, terms.epoch, f"{terms.ends:%Y-%m-%d %H:%M} UTC"
    return [
        *_rows(job),
        (
            f"{leader} keeps {follower}'s masked list for epoch {number}, until {ends} at the latest, and may ask "
            f"about {terms.points_max} clients in all its jobs together; {follower} keeps the epoch's key as long",
            f"{leader} 在第 {number} 期内（最迟至 {ends}）保存 {follower} 的遮蔽名单，该期全部任务合计最多查询 "
            f"{terms.points_max} 次；{follower} 在同一期限内保存该期密钥",
        ),
        (
            f"within the epoch {leader} can compare lists: it sees when clients are added, and can look a client "
            "that it asked about once up in every later list, without asking again",
            f"同一期内 {leader} 可比较各次名单：可知何时新增客户；"
            "查询过一次的客户可在之后的名单中继续查找，无需再次查询",
        ),
        (
            f"if {follower}'s key leaks, during the epoch or later, whoever has the masked list can test every client "
            f"that it can guess, and nobody can make {leader}'s side delete its copy",
            f"若 {follower} 的密钥在期内或期后泄露，持有遮蔽名单者可逐一测试其能猜到的任何客户；"
            f"且无人能强制 {leader} 一方删除其副本",
        ),
        (
            f"nothing leaves a list: when one of its clients withdraws consent or leaves, {follower}'s software ends "
            "the epoch before the next job, which needs a new epoch",
            f"名单不可删减：名单内客户撤回同意或离开时，{follower} 的软件在下一任务前终止本期，之后的任务须使用新一期",
        ),
    ]


def _sum(job: MatchJob) -> list[Pair]:
    values = job.values
    assert values is not None, "mode sum names them"
    return [
        _both_count(job),
        (
            f"{job.leader} learns the SUM of {values.partner}'s {values.column} over the shared clients, no single "
            f"value, if they are {job.minimum} or more; it tells the hub the sum too",
            f"共同客户达到 {job.minimum} 人时，{job.leader} 获知 {values.partner} 的 {values.column} 在共同客户上的合计"
            "（不含任何单个值），并将合计告知枢纽",
        ),
    ]


def _both_count(job: MatchJob) -> Pair:
    (follower,) = job.followers
    return (
        f"{job.leader} and {follower} learn how many clients they share, or that they are fewer than {job.minimum}; "
        "they tell the hub",
        f"{job.leader} 与 {follower} 获知共同客户数量（少于 {job.minimum} 时仅知不足），并告知枢纽",
    )


def _align_all(job: MatchJob) -> list[Pair]:
    everybody, _, hub = _align(job)
    return [
        everybody,
        (
            "nobody learns what fewer than all parties share, unless the leader conspires with another party",
            "除牵头方与他方串通外，任何一方均不获知仅由部分参与方共有的客户",
        ),
        (
            f"the minimum is kept by {job.leader}'s own software: below it the others learn nothing more",
            f"最小人数由 {job.leader} 自身软件把关：不足时其他各方不再获知更多",
        ),
        hub,
    ]


def _align_hidden(job: MatchJob) -> list[Pair]:
    (follower,) = job.followers
    return [
        (
            f"{job.leader} and {follower} get one order of ALL clients that either has, in which each knows the places "
            "of its own; NEITHER LEARNS WHICH of them the other has",
            f"{job.leader} 与 {follower} 获得双方全部客户并集的同一顺序，各方仅知自己客户所在位置，"
            "任何一方均不获知哪些客户为对方所有",
        ),
        (
            f"both learn how many clients they share if they are {job.minimum} or more, and tell the hub; "
            f"below it {job.leader}'s own software keeps the number to itself",
            f"共同客户达到 {job.minimum} 人时双方获知其数量并告知枢纽；不足时由 {job.leader} 自身软件不予显示",
        ),
    ]


_OF_MODE = {
    COUNT: _count,
    ALIGN: _align,
    ROWS: _rows,
    COUNT_THEN_ROWS: _count_then_rows,
    SUM: _sum,
    LABELS: _labels,
    CACHED: _cached,
    ALIGN_ALL: _align_all,
    ALIGN_HIDDEN: _align_hidden,
}
