"""What the model registry refuses."""

from privacy.errors import Failure, Kind


class ModelUnknown(Failure):
    code = "MODEL_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = (
        "{what} is in no registry: `ecohub data profile models` lists names; a run of earlier times is taken in by "
        "`ecohub data profile register`"
    )
    zh = "登记簿中没有 {what}：`ecohub data profile models` 列出名称；早期训练用 `ecohub data profile register` 登记"


class NotRegistrable(Failure):
    code = "MODEL_NOT_REGISTRABLE"
    kind = Kind.CONFLICT
    en = "{job} can't be registered: {why}"
    zh = "{job} 不能登记：{why}"


class ShareLowered(Failure):
    code = "RELEASE_SHARE_LOWERED"
    kind = Kind.CONFLICT
    en = (
        "{job} serves {share} of the clients, more than {wanted}: a share is only raised; "
        "`ecohub data profile rollback` ends a release"
    )
    zh = "{job} 已服务 {share} 的客户，多于 {wanted}：占比只能提高；可用 `ecohub data profile rollback` 结束发布"


class ReleaseUnderWay(Failure):
    code = "RELEASE_UNDER_WAY"
    kind = Kind.CONFLICT
    en = "{name} has a release under way: {job} serves {share} of the clients; raise it to all, or roll it back, first"
    zh = "{name} 已有灰度发布：{job} 服务 {share} 的客户；请先扩至全部或回滚"


class ReleaseBlocked(Failure):
    code = "RELEASE_BLOCKED"
    kind = Kind.REFUSED
    en = "{job} is not released: {why}; the refusal is on record"
    zh = "{job} 不予发布：{why_zh}；拒绝原因已存证"


class NothingReleased(Failure):
    code = "NOTHING_RELEASED"
    kind = Kind.CONFLICT
    en = "no model of {name} is released"
    zh = "{name} 没有已发布的模型"


class NothingBefore(Failure):
    code = "NO_RELEASE_BEFORE"
    kind = Kind.CONFLICT
    en = "{name} had no release before {job}: `ecohub data profile retire` ends it, and its clients get no labels then"
    zh = "{name} 在 {job} 之前没有发布：可用 `ecohub data profile retire` 停用，此后客户不再获得标签"


class StabilityInvalid(Failure):
    code = "STABILITY_INVALID"
    kind = Kind.INTEGRITY
    en = "the stability index of {node} can't be used: {why}"
    zh = "{node} 的稳定性指标不可用：{why}"
