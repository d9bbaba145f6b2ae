"""What the delivery of labels refuses."""

from privacy.errors import Failure, Kind


class NotLabelHolder(Failure):
    code = "NOT_LABEL_HOLDER"
    kind = Kind.REFUSED
    en = "the run {job} left no label matrix here: only the label holder of a vertical run delivers its labels"
    zh = "任务 {job} 在本节点没有标签矩阵：只有纵向训练的标签方可以交付标签"


class LabelMatrixMissing(Failure):
    code = "LABEL_MATRIX_MISSING"
    kind = Kind.NOT_FOUND
    en = "the label matrix of {job} is not there ({file}): the run has not ended, or the file was moved away"
    zh = "任务 {job} 的标签矩阵不存在（{file}）：任务尚未结束，或文件已被移走"


class LabelMatrixUnreadable(Failure):
    code = "LABEL_MATRIX_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "{file} is not the label matrix that this node wrote ({why}): nothing was delivered"
    zh = "{file} 不是本节点写出的标签矩阵（{why}）：未交付"


class LabelMatrixExpired(Failure):
    code = "LABEL_MATRIX_EXPIRED"
    kind = Kind.REFUSED
    en = "the scores of {job} were valid until {until}: train again; labels delivered before have ended by themselves"
    zh = "任务 {job} 的评分有效期至 {until}：请重新训练；此前交付的标签已自行失效"


class LabelRulesChanged(Failure):
    code = "LABEL_RULES_CHANGED"
    kind = Kind.CONFLICT
    en = "version {version} of the rules {name} was delivered with another content: raise the version in the file"
    zh = "规则 {name} 第 {version} 版已以其他内容交付过：请在文件中提高版本号"


class LabelTableUnfit(Failure):
    code = "LABEL_TABLE_UNFIT"
    kind = Kind.INVALID
    en = "{path} can't take the table client_label ({why}): give another place, or mend it"
    zh = "{path} 无法写入 client_label 表（{why}）：请另选位置或修复"


class LabelRecordBroken(Failure):
    code = "LABEL_RECORD_BROKEN"
    kind = Kind.INTEGRITY
    en = "the record of deliveries is broken at number {number} ({why}): restore node.db from the backup"
    zh = "交付记录在第 {number} 条处损坏（{why}）：请从备份恢复 node.db"


class NothingDelivered(Failure):
    code = "LABELS_NOT_DELIVERED"
    kind = Kind.NOT_FOUND
    en = "there is no such delivery of labels: `ecohub partner labels history` lists them"
    zh = "没有该次标签交付：可用 `ecohub partner labels history` 查看"


class OptOutFileInvalid(Failure):
    code = "OPT_OUT_FILE_INVALID"
    kind = Kind.INVALID
    en = "opt-outs, line {line}: {why}; nothing was imported"
    zh = "拒绝名单第 {line} 行：{why}；未导入任何记录"
