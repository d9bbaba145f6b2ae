"""What is wrong with a rules file: the field, and what is expected there."""

from privacy.errors import Failure, Kind


class LabelRulesUnreadable(Failure):
    code = "LABEL_RULES_UNREADABLE"
    kind = Kind.INVALID
    en = "{file} can't be read as rules of labels ({why}): give TOML or JSON in UTF-8 of at most 256 KiB"
    zh = "无法将 {file} 读作标签规则（{why}）：请提供不超过 256 KiB 的 UTF-8 编码 TOML 或 JSON 文件"


class LabelRulesInvalid(Failure):
    code = "LABEL_RULES_INVALID"
    kind = Kind.INVALID
    en = "rules of labels, {where}: {why}; docs/labels.md shows the form"
    zh = "标签规则有误，{where}：{why}；格式见 docs/labels.md"
