# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title Registry of partners: who signs for each, under which terms, and whether it may settle
@license Apache-2.0
@notice The one place where partners' keys change. It hands every change, in the same transaction, to the settlement
        contracts attached to it, which never call back: their own copy decides there.
@dev    ACTIVE <-> SUSPENDED, either -> EXITED for good. A signer is replaced in two steps: somebody entitled names the
        new account, and once the delay is over that account itself accepts. No function takes value.
"""

interface Settlement:
    def setPartner(partner: bytes32, signer: address, until: uint256): nonpayable

flag Status:
    ACTIVE
    SUSPENDED
    EXITED

struct Partner:
    status: Status
    signer: address      # who signs for the partner
    terms: bytes32       # digest of the agreement the governor registered
    until: uint256       # once EXITED: the last period (yyyymm) that may be settled

struct Rotation:
    signer: address      # the account to come, zero if none
    by: address          # who named it
    effective: uint256   # Unix seconds from which it may accept

event Registered:
    partner: indexed(bytes32)
    signer: indexed(address)
    terms: bytes32

event TermsSet:
    partner: indexed(bytes32)
    terms: bytes32

event Suspended:
    partner: indexed(bytes32)
    by: indexed(address)

event Resumed:
    partner: indexed(bytes32)

event Exited:
    partner: indexed(bytes32)
    until: uint256

event RotationBegun:
    partner: indexed(bytes32)
    signer: indexed(address)
    by: indexed(address)
    effective: uint256

event RotationCancelled:
    partner: indexed(bytes32)
    signer: indexed(address)

event Rotated:
    partner: indexed(bytes32)
    signer: indexed(address)

event Attached:
    settlement: indexed(address)

event Detached:
    settlement: indexed(address)

DELAY_MIN: constant(uint256) = 3600
DELAY_MAX: constant(uint256) = 30 * 86400
SETTLEMENTS_MAX: constant(uint256) = 4
PERIOD_MAX: constant(uint256) = 999912  # what an ACTIVE partner may settle: every period

GOVERNOR: public(immutable(address))
DELAY: public(immutable(uint256))

partner: public(HashMap[bytes32, Partner])
rotation: public(HashMap[bytes32, Rotation])
settlements: public(DynArray[address, SETTLEMENTS_MAX])

@deploy
def __init__(governor: address, delay: uint256):
    """
    @notice Fixes who governs and how long a new signer has to wait.
    @param governor Registers, suspends, resumes and ends partners; an account or a k-of-n contract.
    @param delay Seconds between naming a new signer and its acceptance: an hour to 30 days.
    """
    assert governor != empty(address), "governor"
    assert delay >= DELAY_MIN and delay <= DELAY_MAX, "delay"
    GOVERNOR = governor
    DELAY = delay

@internal
@view
def _until(partner: bytes32) -> uint256:
    """
    @notice The last period (yyyymm) a partner may settle: all while ACTIVE, none while SUSPENDED.
    """
    if self.partner[partner].status == Status.ACTIVE:
        return PERIOD_MAX
    return self.partner[partner].until

@internal
def _publish(partner: bytes32):
    """
    @notice Hands a partner's entry to every attached settlement contract; a refusal there undoes the change here.
    """
    signer: address = self.partner[partner].signer
    until: uint256 = self._until(partner)
    for settlement: address in self.settlements:
        extcall Settlement(settlement).setPartner(partner, signer, until)

@external
def publish(partner: bytes32):
    """
    @notice Hands an entry to the attached contracts again: for one attached after the partner registered. Anybody may.
    @param partner The partner's identifier.
    """
    assert self.partner[partner].signer != empty(address), "partner unknown"
    self._publish(partner)

@external
def attach(settlement: address):
    """
    @notice The governor names a settlement contract that takes this registry's word.
    @param settlement A contract whose registrar is this one.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert settlement.is_contract, "settlement"
    assert settlement not in self.settlements, "attached"
    assert len(self.settlements) < SETTLEMENTS_MAX, "too many settlements"
    self.settlements.append(settlement)
    log Attached(settlement=settlement)

@external
def detach(settlement: address):
    """
    @notice The governor takes a contract that has nothing left to settle off the list.
    @param settlement An attached contract.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert settlement in self.settlements, "not attached"
    kept: DynArray[address, SETTLEMENTS_MAX] = []
    for one: address in self.settlements:
        if one != settlement:
            kept.append(one)
    self.settlements = kept
    log Detached(settlement=settlement)

@external
def register(partner: bytes32, signer: address, terms: bytes32):
    """
    @notice The governor enters a new partner, ACTIVE.
    @param partner The partner's identifier; one is entered once.
    @param signer The account that signs for it.
    @param terms Digest of its agreement.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert partner != empty(bytes32), "partner"
    assert signer != empty(address), "signer"
    assert self.partner[partner].signer == empty(address), "partner known"
    self.partner[partner] = Partner(status=Status.ACTIVE, signer=signer, terms=terms, until=0)
    log Registered(partner=partner, signer=signer, terms=terms)
    self._publish(partner)

@external
def setTerms(partner: bytes32, terms: bytes32):
    """
    @notice The governor records a later version of a partner's agreement.
    @param partner An ACTIVE or SUSPENDED partner.
    @param terms Digest of the agreement in force from now on.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert self.partner[partner].status in (Status.ACTIVE | Status.SUSPENDED), "partner status"
    self.partner[partner].terms = terms
    log TermsSet(partner=partner, terms=terms)

@external
def suspend(partner: bytes32):
    """
    @notice Stops an ACTIVE partner from entering statements, at once. It may still dispute and acknowledge.
    @dev The partner's own signer may do it too: the first thing to do about a stolen key.
    @param partner The partner's identifier.
    """
    assert msg.sender == GOVERNOR or msg.sender == self.partner[partner].signer, "not the governor or signer"
    assert self.partner[partner].status == Status.ACTIVE, "partner status"
    self.partner[partner].status = Status.SUSPENDED
    log Suspended(partner=partner, by=msg.sender)
    self._publish(partner)

@external
def resume(partner: bytes32):
    """
    @notice The governor ends a suspension.
    @param partner The partner's identifier.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert self.partner[partner].status == Status.SUSPENDED, "partner status"
    self.partner[partner].status = Status.ACTIVE
    log Resumed(partner=partner)
    self._publish(partner)

@external
def exit(partner: bytes32, until: uint256):
    """
    @notice The governor ends a partner for good: no period after the last one is settled, earlier ones are adjusted.
    @param partner An ACTIVE or SUSPENDED partner.
    @param until The last period that accrues (yyyymm), the end of its run-off.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert self.partner[partner].status in (Status.ACTIVE | Status.SUSPENDED), "partner status"
    assert until >= 200001 and until <= PERIOD_MAX, "period"
    assert until % 100 >= 1 and until % 100 <= 12, "period month"
    self.partner[partner].status = Status.EXITED
    self.partner[partner].until = until
    log Exited(partner=partner, until=until)
    self._publish(partner)

@external
def rotate(partner: bytes32, signer: address):
    """
    @notice First step: the governor or the present signer names the account that is to sign after the delay.
    @dev One at a time: who finds a rotation it does not want has it cancelled before naming another account.
    @param partner The partner's identifier, whatever its status.
    @param signer The account to come.
    """
    present: address = self.partner[partner].signer
    assert present != empty(address), "partner unknown"
    assert msg.sender == GOVERNOR or msg.sender == present, "not the governor or signer"
    assert signer != empty(address), "signer"
    assert signer != present, "signer is the same"
    assert self.rotation[partner].signer == empty(address), "rotation open"
    effective: uint256 = block.timestamp + DELAY
    self.rotation[partner] = Rotation(signer=signer, by=msg.sender, effective=effective)
    log RotationBegun(partner=partner, signer=signer, by=msg.sender, effective=effective)

@external
def cancelRotation(partner: bytes32):
    """
    @notice The governor, or whoever began it, takes a rotation back.
    @dev The present signer cannot stop the governor's: it may be the stolen key that is being replaced.
    @param partner The partner's identifier.
    """
    found: Rotation = self.rotation[partner]
    assert found.signer != empty(address), "no rotation"
    assert msg.sender == GOVERNOR or msg.sender == found.by, "not who began it"
    self.rotation[partner] = empty(Rotation)
    log RotationCancelled(partner=partner, signer=found.signer)

@external
def acceptRotation(partner: bytes32):
    """
    @notice Second step: the new account itself accepts, once the delay is over. The old key counts no longer.
    @param partner The partner's identifier.
    """
    found: Rotation = self.rotation[partner]
    assert found.signer != empty(address), "no rotation"
    assert msg.sender == found.signer, "not the new signer"
    assert block.timestamp >= found.effective, "delay running"
    self.rotation[partner] = empty(Rotation)
    self.partner[partner].signer = found.signer
    log Rotated(partner=partner, signer=found.signer)
    self._publish(partner)
