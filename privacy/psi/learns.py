"""Who learns what in a match job: the sentences that people approve by, computed from the terms that sessions obey."""

from typing import TypeAlias

from privacy.psi.job import ALIGN, COUNT, ROWS, MatchJob

Pair: TypeAlias = tuple[str, str]  # English, Chinese


def sentences(job: MatchJob) -> list[Pair]:
    """What every mode discloses, then what this one does."""
    sizes = ("every party and the hub learn how many clients each party enters", "各方与枢纽获知每一方提交的客户数量")
    return [sizes, *{COUNT: _count, ALIGN: _align, ROWS: _rows}[job.mode](job)]


def _count(job: MatchJob) -> list[Pair]:
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
    said = [_row_line(job.leader, follower, job.minimum)]
    if job.both:
        said.append(_row_line(follower, job.leader, job.minimum))
    else:
        said.append((f"{follower} learns nothing of who is shared", f"{follower} 不获知任何共同客户信息"))
    told = (
        "the hub learns the number of common clients, as it is reported",
        "枢纽获知所上报的共同客户数量",
    )
    return [*said, told]


def _row_line(receiver: str, other: str, minimum: int) -> Pair:
    """The minimum is kept by the receiver's own software: the sentence says so."""
    return (
        f"{receiver} LEARNS WHICH of its own clients {other} has too; "
        f"its own software shows none if they are fewer than {minimum}",
        f"{receiver} 获知自己的哪些客户也是 {other} 的客户；少于 {minimum} 人时由其自身软件不予显示",
    )
