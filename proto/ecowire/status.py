"""Failures across the wire: value → failure head → value. The one translation to gRPC status and exit code."""

from collections.abc import Mapping
from typing import Any

import grpc

from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.printable import printable

GRPC_STATUS = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.REFUSED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.INTEGRITY: grpc.StatusCode.DATA_LOSS,
}
EXIT_CODE = {
    Kind.INVALID: 2,
    Kind.NOT_FOUND: 2,
    Kind.CONFLICT: 3,
    Kind.REFUSED: 3,
    Kind.UNAVAILABLE: 4,
    Kind.INTEGRITY: 5,
}


class Internal(Failure):
    code = "INTERNAL"
    kind = Kind.UNAVAILABLE
    en = "an internal error happened there; its reference is {reference}, the detail is in that machine's own log"
    zh = "对方发生内部错误，参考号 {reference}，详情见该机器本地日志"


class MalformedMessage(Failure):
    code = "MALFORMED_MESSAGE"
    kind = Kind.INVALID
    en = "the message is malformed: {why}"
    zh = "消息格式错误：{why}"


class MessageTooLarge(Failure):
    code = "MESSAGE_TOO_LARGE"
    kind = Kind.INVALID
    en = "the message has {size} bytes, at most {limit} are taken"
    zh = "消息大小 {size} 字节，超过上限 {limit}"


class IdempotencyConflict(Failure):
    """Hub and nodes both refuse this, so it stands here."""

    code = "IDEMPOTENCY_CONFLICT"
    kind = Kind.CONFLICT
    en = "a message with the id {id} but another content was received before"
    zh = "编号 {id} 的消息此前已收到，但内容不同"


class HubUnreachable(Failure):
    """People's programs and nodes both dial the hub: one fault has one code."""

    code = "HUB_UNREACHABLE"
    kind = Kind.UNAVAILABLE
    en = "no answer from the hub at {address} ({why}); does it run? `ecohub doctor` tells more"
    zh = "无法连接枢纽 {address}（{why}）；它是否在运行？可用 `ecohub doctor` 诊断"


class NotConfirmed(Failure):
    """Commands that move money, sign or end something show what they would do; hub's and node's say it alike."""

    code = "NOT_CONFIRMED"
    kind = Kind.REFUSED
    en = "nothing was done: read the above and repeat with --yes"
    zh = "未执行任何操作：请阅读以上内容后加 --yes 重试"


class RemoteFailure(Failure):
    """A failure that the other side reported. Its code and texts are the other side's."""

    code = "REMOTE_FAILURE"
    kind = Kind.UNAVAILABLE
    en = "{remote_en}"
    zh = "{remote_zh}"

    def __init__(self, remote_code: str, kind: Kind, en: str, zh: str) -> None:
        self.remote_code = remote_code
        self.remote_kind = kind
        super().__init__(remote_en=en, remote_zh=zh)


def code_of(failure: Failure) -> str:
    """The stable code to show: the other side's own for a RemoteFailure."""
    return failure.remote_code if isinstance(failure, RemoteFailure) else failure.code


def kind_of(failure: Failure) -> Kind:
    return failure.remote_kind if isinstance(failure, RemoteFailure) else failure.kind


def to_head(failure: Failure) -> dict[str, canonical.Value]:
    """The failure as a wire head: {"code", "kind", "en", "zh"}."""
    return {
        "code": code_of(failure),
        "kind": kind_of(failure).value,
        "en": failure.message("en")[:2000],
        "zh": failure.message("zh")[:2000],
    }


def from_head(head: Mapping[str, Any]) -> RemoteFailure:
    """The RemoteFailure of a wire head, fit to be shown. Raises MalformedMessage for anything else."""
    texts = [head.get(name) for name in ("code", "kind", "en", "zh")]
    if not all(isinstance(text, str) for text in texts) or texts[1] not in {k.value for k in Kind}:
        raise MalformedMessage(why="failure head")
    code, en, zh = (printable(str(texts[i]))[:length] for i, length in ((0, 80), (2, 2000), (3, 2000)))
    return RemoteFailure(code, Kind(texts[1]), en, zh)
