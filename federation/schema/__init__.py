"""The profile schema: standard features with meaning, unit, range and class, and how partners' own columns map to them.

    standard.load()                         the catalogue of this release (standard.toml)
    mapping.parse(text, catalogue)          a partner's mapping file
    check.rule, check.counts                what stands in its way, as findings with line, column and next step
    coverage.of(catalogue, offered)         which features are offered, by domain, and what is missing

Pure: the rows are read by the node's vault, which runs `measure` over each column and gives out counts only.
"""
