"""What is wrong with the catalogue, a mapping file, or the columns it names: each with line, column and next step.

Facts are names that people wrote and counts of rows, never a value of the data.
"""

from privacy.errors import Failure, Kind


class CatalogueInvalid(Failure):
    code = "PROFILE_CATALOGUE_INVALID"
    kind = Kind.INVALID
    en = "the catalogue of profile features is not valid: {where}: {why}"
    zh = "画像特征目录无效：{where}：{why}"


class OfferInvalid(Failure):
    code = "PROFILE_OFFER_INVALID"
    kind = Kind.INVALID
    en = "the standard features of an asset are not valid: {why}"
    zh = "数据资产的标准特征声明无效：{why}"


class MappingUnreadable(Failure):
    code = "MAPPING_FILE_UNREADABLE"
    kind = Kind.INVALID
    en = "{file} can't be read as a mapping ({why}): give a TOML file in UTF-8 of at most 1 MiB"
    zh = "无法将 {file} 读作映射文件（{why}）：请提供不超过 1 MiB 的 UTF-8 编码 TOML 文件"


class MappingMalformed(Failure):
    code = "MAPPING_FILE_MALFORMED"
    kind = Kind.INVALID
    en = "line {line}: {why}; docs/profile-features.md shows the form"
    zh = "第 {line} 行：{why}；格式见 docs/profile-features.md"


class MappingOtherCatalogue(Failure):
    code = "MAPPING_CATALOGUE_OTHER"
    kind = Kind.CONFLICT
    en = (
        "line {line}: the file was written for catalogue {found}, this node has {known}: compare its features with "
        "docs/profile-features.md, then write catalogue = {known}"
    )
    zh = (
        "第 {line} 行：该文件按目录版本 {found} 编写，本节点为 {known}：请对照 docs/profile-features.md 核对后改为 "
        "catalogue = {known}"
    )


class FeatureUnknown(Failure):
    code = "MAPPING_FEATURE_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "line {line}, column {column}: the catalogue has no feature {feature}; near it: {near}"
    zh = "第 {line} 行，列 {column}：目录中没有特征 {feature}；相近的有：{near}"


class FeatureTwice(Failure):
    code = "MAPPING_FEATURE_TWICE"
    kind = Kind.CONFLICT
    en = "line {line}, column {column}: {feature} is mapped from column {other} already; keep one of the two"
    zh = "第 {line} 行，列 {column}：{feature} 已由列 {other} 映射；请只保留一个"


class FactorInvalid(Failure):
    code = "MAPPING_FACTOR_INVALID"
    kind = Kind.INVALID
    en = (
        'line {line}, column {column}: {why}; a factor is text that turns the column into {unit}, such as "1/100" '
        '(fen to yuan) or "10000"'
    )
    zh = '第 {line} 行，列 {column}：{why}；factor 为文本，用于把该列换算为 {unit}，如 "1/100"（分→元）或 "10000"'


class CategoriesInvalid(Failure):
    code = "MAPPING_CATEGORIES_INVALID"
    kind = Kind.INVALID
    en = "line {line}, column {column}: {why}; the categories of {feature} are: {known}"
    zh = "第 {line} 行，列 {column}：{why}；{feature} 的类别有：{known}"


class ColumnIsId(Failure):
    code = "MAPPING_COLUMN_IS_ID"
    kind = Kind.REFUSED
    en = "line {line}, column {column}: it is the id column of {asset}, which is no feature; take the line out"
    zh = "第 {line} 行，列 {column}：该列是 {asset} 的标识列，不能作为特征；请删除该行"


class ColumnAbsent(Failure):
    code = "MAPPING_COLUMN_MISSING"
    kind = Kind.NOT_FOUND
    en = "line {line}, column {column}: {asset} has no such column; near it: {near}"
    zh = "第 {line} 行，列 {column}：{asset} 中没有该列；相近的有：{near}"


class ColumnUnclassified(Failure):
    code = "MAPPING_COLUMN_UNCLASSIFIED"
    kind = Kind.REFUSED
    en = "line {line}, column {column}: it has no class; give it one under [asset.columns] of {asset} in node.toml"
    zh = "第 {line} 行，列 {column}：该列尚未分级；请在 node.toml 中 {asset} 的 [asset.columns] 下标注级别"


class ClassNeverShared(Failure):
    code = "MAPPING_CLASS_C3"
    kind = Kind.REFUSED
    en = "line {line}, column {column}: class C3 never enters a job (JR/T 0171-2020); take the line out"
    zh = "第 {line} 行，列 {column}：C3 级信息不得进入任何任务（JR/T 0171-2020）；请删除该行"


class ClassTooLow(Failure):
    code = "MAPPING_CLASS_TOO_LOW"
    kind = Kind.REFUSED
    en = (
        "line {line}, column {column}: {feature} is of class {needed}, node.toml says {found}; raise the column to "
        "{needed} under [asset.columns] of {asset}"
    )
    zh = (
        "第 {line} 行，列 {column}：{feature} 应为 {needed} 级，node.toml 中标为 {found}；请在 {asset} 的 "
        "[asset.columns] 下改为 {needed}"
    )


class PurposeNotAllowed(Failure):
    code = "MAPPING_PURPOSE_NOT_ALLOWED"
    kind = Kind.REFUSED
    en = (
        "line {line}, column {column}: {asset} is offered for {purpose}, {feature} only for {allowed}; take the line "
        "out, or offer the column in another [[asset]] without that purpose"
    )
    zh = (
        "第 {line} 行，列 {column}：{asset} 的用途含 {purpose}，而 {feature} 仅可用于 {allowed}；请删除该行，"
        "或将该列放入不含此用途的另一 [[asset]]"
    )


class NotNumbers(Failure):
    code = "MAPPING_NOT_NUMBERS"
    kind = Kind.INVALID
    en = (
        "line {line}, column {column}: {count} of {rows} rows hold no number; write plain numbers (no thousands "
        "separators), or name what stands for a missing value: missing = [...]"
    )
    zh = (
        "第 {line} 行，列 {column}：{rows} 行中有 {count} 行不是数值；请使用纯数字（不含千分位），"
        "或以 missing = [...] 声明缺失值的写法"
    )


class NotWhole(Failure):
    code = "MAPPING_NOT_WHOLE"
    kind = Kind.INVALID
    en = "line {line}, column {column}: {feature} counts whole {unit}; {count} of {rows} rows do not: check factor"
    zh = "第 {line} 行，列 {column}：{feature} 应为整数（{unit}），{rows} 行中有 {count} 行不是：请检查 factor"


class AllMissing(Failure):
    code = "MAPPING_ALL_MISSING"
    kind = Kind.INVALID
    en = "line {line}, column {column}: no row has a value; check missing = [...], or take the line out"
    zh = "第 {line} 行，列 {column}：没有任何行有值；请检查 missing = [...]，或删除该行"


class ManyMissing(Failure):
    code = "MAPPING_MANY_MISSING"
    kind = Kind.INVALID
    en = "line {line}, column {column}: {count} of {rows} rows have no value"
    zh = "第 {line} 行，列 {column}：{rows} 行中有 {count} 行缺失"


class OutOfRange(Failure):
    code = "MAPPING_OUT_OF_RANGE"
    kind = Kind.INVALID
    en = (
        "line {line}, column {column}: {count} of {rows} rows are outside the range of {feature}, {low} to {high} "
        "{unit}: check factor, or name markers such as -999 in missing = [...]"
    )
    zh = (
        "第 {line} 行，列 {column}：{rows} 行中有 {count} 行超出 {feature} 的取值范围（{low} 至 {high} {unit}）："
        "请检查 factor，或把 -999 之类的标记写入 missing = [...]"
    )


class UnitSuspect(Failure):
    code = "MAPPING_UNIT_SUSPECT"
    kind = Kind.INVALID
    en = (
        "line {line}, column {column}: the median is far from what {feature} has in {unit}; is it in another unit? "
        'Write factor = "{factor}"; or unit_checked = true where the column is right as it is'
    )
    zh = (
        "第 {line} 行，列 {column}：中位数与 {feature} 以 {unit} 计的常见水平相差悬殊，单位是否不同？"
        '请写 factor = "{factor}"；若确认无误，请写 unit_checked = true'
    )


class CategoriesUnknown(Failure):
    code = "MAPPING_CATEGORIES_UNKNOWN"
    kind = Kind.INVALID
    en = (
        "line {line}, column {column}: {count} of {rows} rows hold {distinct} texts that are no category of {feature}; "
        'translate them: categories = {{"your text" = "{example}"}}'
    )
    zh = (
        "第 {line} 行，列 {column}：{rows} 行中有 {count} 行、共 {distinct} 种取值不属于 {feature} 的类别；"
        '请翻译：categories = {{"贵方取值" = "{example}"}}'
    )


class Constant(Failure):
    code = "MAPPING_CONSTANT"
    kind = Kind.INVALID
    en = "line {line}, column {column}: all rows with a value hold the same; no model can use it"
    zh = "第 {line} 行，列 {column}：所有非缺失行取值相同，模型无法使用"


class RareBin(Failure):
    code = "MAPPING_RARE_BIN"
    kind = Kind.INVALID
    en = (
        "line {line}, column {column}: {count} of the suggested bins of {feature} hold fewer than {least} rows; "
        "training drops or joins them"
    )
    zh = "第 {line} 行，列 {column}：{feature} 的建议分箱中有 {count} 个不足 {least} 行；训练时会舍弃或合并"
