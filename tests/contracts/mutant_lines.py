"""Lines of the contracts that are no assert and carry a rule all the same: (the line, what stands there instead)."""

EFFECTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Settlement": (
        ("self._payouts[payout] = True", "pass"),
        ("self.replacement[old] = new", "pass"),
        ("self.record[old].state = State.VOID", "pass"),
        ("self.record[digest].end = block.timestamp - self._pauses()", "pass"),
        (
            "self.record[digest].end = block.timestamp - self._pauses()",
            "self.record[digest].end = block.timestamp - self._paused_seconds",
        ),
        (
            "self._paused_seconds += block.timestamp - self._paused_at",
            "self._paused_seconds = block.timestamp - self._paused_at",
        ),
        ("end: uint256 = closes - self._paused_seconds", "end: uint256 = closes"),
        ("self.sequence[statement.partner] = statement.sequence", "pass"),
        ("self.last[statement.partner] = digest", "pass"),
        ("self.until[partner] = until", "pass"),
        ("self.signer[partner] = signer", "pass"),
        ("self.successor = successor", "pass"),
        ("return self._paused_seconds + block.timestamp - self._paused_at", "return self._paused_seconds"),
        ("return self.record[digest].end + self._pauses()", "return self.record[digest].end"),
        (
            "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))",
            "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), WINDOW, self))",
        ),
        (
            "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))",
            "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, msg.sender))",
        ),
        ("if self.record[self._digest(statement)].state == empty(State):", "if statement.lines == 0:"),
        ("return sn == 0 and node == statement.root", "return node == statement.root"),
        ("return sn == 0 and node == statement.root", "return sn == 0"),
        ("if fn & 1 == 1 or fn == sn:", "if fn & 1 == 1:"),
        ("if fn & 1 == 1 or fn == sn:", "if fn == sn:"),
        (
            'assert block.timestamp < self._closes(digest), "window closed"',
            'assert block.timestamp <= self._closes(digest), "window closed"',
        ),
        (
            'assert block.timestamp >= self._closes(digest), "window open"',
            'assert block.timestamp > self._closes(digest), "window open"',
        ),
        (
            'assert statement.period <= self.until[statement.partner], "partner period"',
            'assert statement.period < self.until[statement.partner], "partner period"',
        ),
        (
            'assert self.record[old].state in (State.DISPUTED | State.VOID), "replaces state"',
            'assert self.record[old].state == State.DISPUTED, "replaces state"',
        ),
        (
            'assert self.record[old].state in (State.DISPUTED | State.VOID), "replaces state"',
            'assert self.record[old].state == State.VOID, "replaces state"',
        ),
    ),
    "PartnerRegistry": (),
    "CheckpointAnchor": (),
    "Governor": (),
}
