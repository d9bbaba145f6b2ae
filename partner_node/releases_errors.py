"""What a node refuses of the hub's steps, and of a delivery that no release allows."""

from privacy.errors import Failure, Kind


class ModelStepRefused(Failure):
    code = "MODEL_STEP_REFUSED"
    kind = Kind.INTEGRITY
    en = "the hub's step of a model is refused: {why}"
    zh = "拒绝枢纽的模型步骤：{why}"


class ModelNotReleased(Failure):
    code = "MODEL_NOT_RELEASED"
    kind = Kind.REFUSED
    en = "the model of {job} ({name}) serves no client now: the data team releases it by `ecohub data profile release`"
    zh = "{job} 的模型（{name}）目前不服务任何客户：由数据团队用 `ecohub data profile release` 发布"


class ModelAboveLimits(Failure):
    code = "MODEL_ABOVE_LIMITS"
    kind = Kind.REFUSED
    en = "{job} serves nobody, whatever the hub says: by this node's own record {why}; train again"
    zh = "无论枢纽如何声明，{job} 不服务任何客户：本节点自己的记录表明{why_zh}；请重新训练"
