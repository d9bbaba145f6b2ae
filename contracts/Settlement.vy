# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title Settlement of revenue-share statements
@license Apache-2.0
@notice One statement is one partner and one period. The chain carries commitments, two EIP-712 signatures and the
        statement's state; it holds no money, no amount in clear and no personal data.
@dev    States: PROPOSED -> (DISPUTED) -> FINAL -> PAID -> ACKED, or VOID. Any account may submit what both parties
        signed; only the parties, the arbiter, the governor and the registrar may act in their own name. No function
        takes value and none calls another contract: the registry of partners hands its changes in. The broker and the
        arbiter are fixed at deployment: a new broker key means a new contract, the old one's successor.
"""

flag State:
    PROPOSED
    DISPUTED
    FINAL
    PAID
    ACKED
    VOID

struct Statement:
    partner: bytes32     # salted partner identifier
    sequence: uint256    # counts this partner's statements from 1, without gaps
    period: uint256      # yyyymm
    previous: bytes32    # digest of this partner's statement before, zero for the first
    root: bytes32        # RFC 6962 tree hash of the salted lines
    lines: uint256       # number of lines under the root
    total: bytes32       # salted commitment to the total
    terms: bytes32       # digest of the agreement in force
    replaces: bytes32    # digest of the disputed or void statement this one replaces, or zero

struct Record:
    partner: bytes32
    state: State
    end: uint256         # of the dispute window, on the clock that stands still during pauses
    payout: bytes32      # commitment to the payment, zero until PAID

event Proposed:
    digest: indexed(bytes32)
    partner: indexed(bytes32)
    sequence: indexed(uint256)
    root: bytes32
    lines: uint256
    total: bytes32
    terms: bytes32
    closes: uint256

event Replaced:
    digest: indexed(bytes32)
    replacement: indexed(bytes32)

event Disputed:
    digest: indexed(bytes32)
    party: indexed(address)
    reason: bytes32

event Resolved:
    digest: indexed(bytes32)
    upheld: bool
    reason: bytes32

event Finalised:
    digest: indexed(bytes32)

event Paid:
    digest: indexed(bytes32)
    payout: bytes32

event Acknowledged:
    digest: indexed(bytes32)

event PartnerSet:
    partner: indexed(bytes32)
    signer: indexed(address)
    until: uint256

event PausedSet:
    paused: bool

event SuccessorSet:
    successor: indexed(address)

NAME: constant(String[17]) = "EcoHub Settlement"
VERSION: constant(String[1]) = "1"
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
STATEMENT_TYPE: constant(bytes32) = keccak256(
    "Statement(bytes32 partner,uint256 sequence,uint256 period,bytes32 previous,bytes32 root,uint256 lines,bytes32 total,bytes32 terms,bytes32 replaces)"
)
# Half the order of secp256k1 (EIP-2): above it lies the second, malleable form of every signature.
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
PATH_MAX: constant(uint256) = 40
PERIOD_MIN: constant(uint256) = 200001  # a partner whose last period is 0 settles none
WINDOW_MAX: constant(uint256) = 366 * 86400

DOMAIN: public(immutable(bytes32))
GOVERNOR: public(immutable(address))
REGISTRAR: public(immutable(address))
BROKER: public(immutable(address))
ARBITER: public(immutable(address))
WINDOW: public(immutable(uint256))

signer: public(HashMap[bytes32, address])      # partner -> who signs for it; zero: nobody
until: public(HashMap[bytes32, uint256])       # partner -> last period (yyyymm) that it may settle
sequence: public(HashMap[bytes32, uint256])    # partner -> number of its statements
last: public(HashMap[bytes32, bytes32])        # partner -> digest of its newest statement
record: public(HashMap[bytes32, Record])       # digest -> state
replacement: public(HashMap[bytes32, bytes32]) # digest -> digest of the statement that replaced it
successor: public(address)                     # the contract that takes new statements instead of this one
paused: public(bool)
_payouts: HashMap[bytes32, bool]
_paused_at: uint256
_paused_seconds: uint256                       # of all finished pauses

@deploy
def __init__(governor: address, registrar: address, broker: address, arbiter: address, window: uint256):
    """
    @notice Fixes who governs, who is the broker, who decides disputes, and how long a dispute may be raised.
    @param governor Pauses and names a successor; an account or a k-of-n contract, not the broker.
    @param registrar Sets partners' signers: the registry of partners, or an account.
    @param broker The broker's signing account: signs statements and marks payments.
    @param arbiter Decides disputes; belongs to neither party.
    @param window Seconds a statement stays open to dispute: 1 to 366 days.
    """
    assert governor != empty(address), "governor"
    assert registrar != empty(address), "registrar"
    assert broker != empty(address), "broker"
    assert arbiter != empty(address), "arbiter"
    assert governor != broker, "governor is the broker"
    assert registrar != broker, "registrar is the broker"
    assert arbiter != broker, "arbiter is a party"
    assert window > 0 and window <= WINDOW_MAX, "window"
    GOVERNOR = governor
    REGISTRAR = registrar
    BROKER = broker
    ARBITER = arbiter
    WINDOW = window
    DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))

@internal
@view
def _recover(digest: bytes32, signature: Bytes[66]) -> address:
    """
    @notice The account whose signature over the digest this is, never zero.
    @dev Strict: 65 bytes r (32), s (32), v (1); s in the lower half of the order; v 27 or 28.
    """
    assert len(signature) == 65, "signature length"
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert s <= HALF_ORDER, "signature s"
    assert v == 27 or v == 28, "signature v"
    account: address = ecrecover(digest, v, r, s)
    assert account != empty(address), "signature"
    return account

@internal
@view
def _digest(statement: Statement) -> bytes32:
    """@notice The EIP-712 digest of a statement under this contract's domain: what both parties sign."""
    return keccak256(concat(b"\x19\x01", DOMAIN, keccak256(abi_encode(STATEMENT_TYPE, statement))))

@internal
@view
def _pauses() -> uint256:
    """@notice Seconds this contract has been paused until now, a pause in progress included."""
    if self.paused:
        return self._paused_seconds + block.timestamp - self._paused_at
    return self._paused_seconds

@internal
@view
def _closes(digest: bytes32) -> uint256:
    """
    @notice End of a statement's dispute window in time: its end on the clock without pauses, and the pauses.
    @dev A window that was over when a pause began stays over: time and end then grow alike.
    @return Unix seconds; a dispute is possible before it, finalising from it on.
    """
    return self.record[digest].end + self._pauses()

@external
@view
def digestOf(statement: Statement) -> bytes32:
    """@notice The EIP-712 digest both parties sign; it names the statement everywhere else."""
    return self._digest(statement)

@external
@view
def closes(digest: bytes32) -> uint256:
    """
    @notice When a statement's dispute window ends (Unix seconds), pauses included; meaningless for an unknown digest.
    """
    return self._closes(digest)

@external
def setPartner(partner: bytes32, signer: address, until: uint256):
    """
    @notice The registrar says which account signs for a partner and which periods it may settle.
    @param partner The partner's identifier.
    @param signer The account; neither the broker nor the arbiter. Zero: nobody, not even to dispute.
    @param until The last period (yyyymm) of statements it may enter; zero: none.
    """
    assert msg.sender == REGISTRAR, "not the registrar"
    assert partner != empty(bytes32), "partner"
    assert signer != BROKER, "signer is the broker"
    assert signer != ARBITER, "arbiter is a party"
    self.signer[partner] = signer
    self.until[partner] = until
    log PartnerSet(partner=partner, signer=signer, until=until)

@external
def setSuccessor(successor: address):
    """
    @notice The governor names, once, the contract that takes new statements from now on. Here what was entered is
            still disputed, finalised, paid and acknowledged.
    @param successor Another deployment.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert successor.is_contract, "successor"
    assert successor != self, "successor is this"
    assert self.successor == empty(address), "succeeded"
    self.successor = successor
    log SuccessorSet(successor=successor)

@external
def pause():
    """
    @notice The governor stops proposing, finalising and paying. Disputing stays possible; open windows are extended
            by as long as the pause lasts.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert not self.paused, "paused"
    self.paused = True
    self._paused_at = block.timestamp
    log PausedSet(paused=True)

@external
def unpause():
    """@notice The governor ends the pause."""
    assert msg.sender == GOVERNOR, "not the governor"
    assert self.paused, "not paused"
    self._paused_seconds += block.timestamp - self._paused_at
    self.paused = False
    log PausedSet(paused=False)

@external
def propose(statement: Statement, broker_signature: Bytes[66], partner_signature: Bytes[66]):
    """
    @notice Enters a statement both parties signed; its dispute window begins. Anybody may submit it.
    @dev Sequence and previous digest make each signature good for one place in one partner's chain. A statement that
         replaces a disputed one makes that one void; a void one may be replaced once.
    @param statement The statement.
    @param broker_signature The broker's EIP-712 signature.
    @param partner_signature The partner's EIP-712 signature.
    """
    assert not self.paused, "paused"
    assert self.successor == empty(address), "succeeded"
    digest: bytes32 = self._digest(statement)
    signer: address = self.signer[statement.partner]
    assert signer != empty(address), "partner inactive"
    assert statement.period >= PERIOD_MIN and statement.period <= self.until[statement.partner], "partner period"
    assert statement.lines > 0, "no lines"
    assert statement.sequence == self.sequence[statement.partner] + 1, "sequence"
    assert statement.previous == self.last[statement.partner], "previous"
    assert self._recover(digest, broker_signature) == BROKER, "broker signature"
    assert self._recover(digest, partner_signature) == signer, "partner signature"
    if statement.replaces != empty(bytes32):
        self._replace(statement.replaces, digest, statement.partner)
    self.sequence[statement.partner] = statement.sequence
    self.last[statement.partner] = digest
    closes: uint256 = block.timestamp + WINDOW
    end: uint256 = closes - self._paused_seconds
    self.record[digest] = Record(partner=statement.partner, state=State.PROPOSED, end=end, payout=empty(bytes32))
    log Proposed(
        digest=digest, partner=statement.partner, sequence=statement.sequence, root=statement.root,
        lines=statement.lines, total=statement.total, terms=statement.terms, closes=closes,
    )

@internal
def _replace(old: bytes32, new: bytes32, partner: bytes32):
    """
    @notice Makes a disputed or void statement the one that `new` replaces.
    @param partner The partner both must belong to.
    """
    assert self.record[old].partner == partner, "replaces"
    assert self.record[old].state in (State.DISPUTED | State.VOID), "replaces state"
    assert self.replacement[old] == empty(bytes32), "replaced before"
    self.record[old].state = State.VOID
    self.replacement[old] = new
    log Replaced(digest=old, replacement=new)

@external
def dispute(digest: bytes32, reason: bytes32):
    """
    @notice Either party objects while the window is open, also during a pause.
    @param digest The statement's digest.
    @param reason Digest of the signed dispute document.
    """
    assert self.record[digest].state == State.PROPOSED, "not proposed"
    assert block.timestamp < self._closes(digest), "window closed"
    assert msg.sender == BROKER or msg.sender == self.signer[self.record[digest].partner], "not a party"
    self.record[digest].state = State.DISPUTED
    log Disputed(digest=digest, party=msg.sender, reason=reason)

@external
def resolve(digest: bytes32, upheld: bool, reason: bytes32):
    """
    @notice The arbiter decides a dispute. Upheld: the statement is void. Dismissed: it may be finalised at once and
            not be disputed again.
    @dev The void statement stays the partner's last one: its replacement names it as `previous` and in `replaces`.
    @param digest The statement's digest.
    @param upheld Whether the objection is right.
    @param reason Digest of the decision.
    """
    assert msg.sender == ARBITER, "not the arbiter"
    assert self.record[digest].state == State.DISPUTED, "not disputed"
    if upheld:
        self.record[digest].state = State.VOID
    else:
        self.record[digest].state = State.PROPOSED
        self.record[digest].end = block.timestamp - self._pauses()
    log Resolved(digest=digest, upheld=upheld, reason=reason)

@external
def finalise(digest: bytes32):
    """
    @notice Makes a statement final once its dispute window is over. Anybody may do it.
    @param digest The statement's digest.
    """
    assert not self.paused, "paused"
    assert self.record[digest].state == State.PROPOSED, "not proposed"
    assert block.timestamp >= self._closes(digest), "window open"
    self.record[digest].state = State.FINAL
    log Finalised(digest=digest)

@external
def markPaid(digest: bytes32, payout: bytes32):
    """
    @notice The broker says a final statement was paid, and by which payment.
    @param digest The statement's digest.
    @param payout Salted commitment to the bank's reference; each is good for one statement.
    """
    assert not self.paused, "paused"
    assert msg.sender == BROKER, "not the broker"
    assert self.record[digest].state == State.FINAL, "not final"
    assert payout != empty(bytes32), "payout"
    assert not self._payouts[payout], "payout used"
    self._payouts[payout] = True
    self.record[digest].payout = payout
    self.record[digest].state = State.PAID
    log Paid(digest=digest, payout=payout)

@external
def ackPaid(digest: bytes32):
    """
    @notice The partner says that the payment arrived.
    @param digest The statement's digest.
    """
    assert self.record[digest].state == State.PAID, "not paid"
    assert msg.sender == self.signer[self.record[digest].partner], "not the partner"
    self.record[digest].state = State.ACKED
    log Acknowledged(digest=digest)

@external
@view
def proveLine(statement: Statement, leaf: bytes32, index: uint256, path: DynArray[bytes32, PATH_MAX]) -> bool:
    """
    @notice Whether a line stands in a statement that was entered: RFC 9162 section 2.1.3.2 with SHA-256.
    @dev Root and number of lines come from the statement, whose digest names the record: a proof for another tree size
         is none.
    @param statement The statement.
    @param leaf The line's leaf hash, SHA-256(0x00 || salt || line).
    @param index Place of the line, from 0.
    @param path Sibling hashes from the leaf to the root.
    @return True if the statement was entered and the path leads to its root.
    """
    assert index < statement.lines, "index"
    if self.record[self._digest(statement)].state == empty(State):
        return False
    fn: uint256 = index
    sn: uint256 = statement.lines - 1
    node: bytes32 = leaf
    for sibling: bytes32 in path:
        if sn == 0:
            return False
        if fn & 1 == 1 or fn == sn:
            node = sha256(concat(b"\x01", sibling, node))
            for _: uint256 in range(256):
                if fn & 1 == 1 or fn == 0:
                    break
                fn = fn >> 1
                sn = sn >> 1
        else:
            node = sha256(concat(b"\x01", node, sibling))
        fn = fn >> 1
        sn = sn >> 1
    return sn == 0 and node == statement.root
