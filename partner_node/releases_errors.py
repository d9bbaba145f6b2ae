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
