# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title Governor: k of n members act together, after a delay; any one of them pauses at once
@license Apache-2.0
@notice Governs the other contracts, and itself. A member proposes a call; once k members stand behind it everybody has
        the delay to look at it; then a member executes it. A change of the members is such a call to this contract.
@dev    Any single member may pause: a false alarm costs a delay, in which disputes stay open and no window runs; a missed
        one may cost a settlement. To release takes k members and the delay. No function takes value.
"""

interface Pausable:
    def pause(): nonpayable

flag State:
    OPEN
    EXECUTED
    CANCELLED

struct Operation:
    target: address
    proposer: address
    epoch: uint256       # the membership it was proposed under
    alarm: uint256       # how often the target had been paused here when it was proposed
    approvals: uint256
    ready: uint256       # Unix seconds from which it may be executed, zero while fewer than k approve
    state: State

event MembersSet:
    epoch: indexed(uint256)
    members: uint256
    threshold: uint256

event OperationProposed:
    operation: indexed(uint256)
    proposer: indexed(address)
    target: indexed(address)
    call_hash: bytes32

event Approved:
    operation: indexed(uint256)
    member: indexed(address)
    ready: uint256

event Revoked:
    operation: indexed(uint256)
    member: indexed(address)

event Cancelled:
    operation: indexed(uint256)

event Executed:
    operation: indexed(uint256)

event PausedBy:
    target: indexed(address)
    member: indexed(address)

MEMBERS_MAX: constant(uint256) = 16
DATA_MAX: constant(uint256) = 640       # setMembers with all 16 takes 612 bytes
DELAY_MIN: constant(uint256) = 3600
DELAY_MAX: constant(uint256) = 30 * 86400
EXPIRY: constant(uint256) = 14 * 86400  # an operation not executed this long after it was ready is dead

DELAY: public(immutable(uint256))

members: DynArray[address, MEMBERS_MAX]
isMember: public(HashMap[address, bool])
threshold: public(uint256)
epoch: public(uint256)                  # counts memberships: operations of an earlier one are dead
operations: public(uint256)             # number of operations; they are counted from 1
operation: public(HashMap[uint256, Operation])
callData: public(HashMap[uint256, Bytes[DATA_MAX]])
approved: public(HashMap[uint256, HashMap[address, bool]])
alarms: public(HashMap[address, uint256])  # target -> how often a member paused it

@deploy
def __init__(threshold: uint256, delay: uint256, members: DynArray[address, MEMBERS_MAX]):
    """
    @notice The first members, how many of them act together, and how long their decisions wait.
    @param threshold k: 2 to the number of members.
    @param delay Seconds between the k-th approval and execution: an hour to 30 days.
    @param members 2 to 16 different accounts.
    """
    assert delay >= DELAY_MIN and delay <= DELAY_MAX, "delay"
    DELAY = delay
    self._set_members(threshold, members)

@internal
def _set_members(threshold: uint256, members: DynArray[address, MEMBERS_MAX]):
    """
    @notice Replaces the membership; every operation proposed before is dead.
    """
    assert threshold >= 2, "threshold"  # one key alone must not govern
    assert threshold <= len(members), "threshold over members"
    for old: address in self.members:
        self.isMember[old] = False
    for new: address in members:
        assert new != empty(address), "member"
        assert not self.isMember[new], "member twice"
        self.isMember[new] = True
    self.members = members
    self.threshold = threshold
    self.epoch += 1
    log MembersSet(epoch=self.epoch, members=len(members), threshold=threshold)

@external
@view
def allMembers() -> DynArray[address, MEMBERS_MAX]:
    """
    @notice The present members.
    """
    return self.members

@internal
@view
def _check_open(operation: uint256):
    """
    @notice Refuses an operation that is not open, or was proposed by an earlier membership.
    """
    assert self.operation[operation].state == State.OPEN, "not open"
    assert self.operation[operation].epoch == self.epoch, "members changed"

@internal
def _approve(operation: uint256, member: address):
    """
    @notice Counts an approval; the k-th starts the delay.
    """
    assert not self.approved[operation][member], "approved before"
    self.approved[operation][member] = True
    self.operation[operation].approvals += 1
    if self.operation[operation].approvals == self.threshold:
        self.operation[operation].ready = block.timestamp + DELAY
    log Approved(operation=operation, member=member, ready=self.operation[operation].ready)

@external
def setMembers(threshold: uint256, members: DynArray[address, MEMBERS_MAX]):
    """
    @notice Replaces k and the members. Only this contract itself may, by an executed operation.
    @param threshold k: 2 to the number of members.
    @param members 2 to 16 different accounts.
    """
    assert msg.sender == self, "not the governor itself"
    self._set_members(threshold, members)

@external
def propose(target: address, data: Bytes[DATA_MAX]) -> uint256:
    """
    @notice A member proposes a call and approves it.
    @param target A contract, or this one.
    @param data The call: selector and arguments. Everybody reads it back with `callData` before approving.
    @return The operation's number.
    """
    assert self.isMember[msg.sender], "not a member"
    assert target.is_contract, "target"
    self.operations += 1
    operation: uint256 = self.operations
    self.operation[operation] = Operation(
        target=target,
        proposer=msg.sender,
        epoch=self.epoch,
        alarm=self.alarms[target],
        approvals=0,
        ready=0,
        state=State.OPEN,
    )
    self.callData[operation] = data
    log OperationProposed(operation=operation, proposer=msg.sender, target=target, call_hash=keccak256(data))
    self._approve(operation, msg.sender)
    return operation

@external
def approve(operation: uint256):
    """
    @notice A member stands behind an operation.
    @param operation The operation's number.
    """
    assert self.isMember[msg.sender], "not a member"
    self._check_open(operation)
    self._approve(operation, msg.sender)

@external
def revoke(operation: uint256):
    """
    @notice A member takes its approval back. Below k the delay starts anew with the next k-th approval.
    @param operation The operation's number.
    """
    assert self.isMember[msg.sender], "not a member"
    self._check_open(operation)
    assert self.approved[operation][msg.sender], "not approved by you"
    self.approved[operation][msg.sender] = False
    self.operation[operation].approvals -= 1
    if self.operation[operation].approvals < self.threshold:
        self.operation[operation].ready = 0
    log Revoked(operation=operation, member=msg.sender)

@external
def cancel(operation: uint256):
    """
    @notice Its proposer, while a member, ends an operation for good.
    @param operation The operation's number.
    """
    assert self.isMember[msg.sender], "not a member"
    self._check_open(operation)
    assert msg.sender == self.operation[operation].proposer, "not the proposer"
    self.operation[operation].state = State.CANCELLED
    log Cancelled(operation=operation)

@external
def execute(operation: uint256):
    """
    @notice A member carries out what k members still stand behind, after the delay and before it expires.
    @dev A refusal of the target is passed on and leaves the operation open. A release that was proposed before the
         target was paused again does not end the new pause.
    @param operation The operation's number.
    """
    assert self.isMember[msg.sender], "not a member"
    self._check_open(operation)
    found: Operation = self.operation[operation]
    assert found.ready != 0, "not enough approvals"
    assert block.timestamp >= found.ready, "delay running"
    assert block.timestamp < found.ready + EXPIRY, "expired"
    data: Bytes[DATA_MAX] = self.callData[operation]
    if len(data) >= 4 and slice(data, 0, 4) == method_id("unpause()"):
        assert found.alarm == self.alarms[found.target], "paused again"
    self.operation[operation].state = State.EXECUTED
    log Executed(operation=operation)
    raw_call(found.target, data)

@external
def pause(target: address):
    """
    @notice Any member pauses a governed contract at once.
    @param target A contract with `pause()` whose governor is this one.
    """
    assert self.isMember[msg.sender], "not a member"
    self.alarms[target] += 1
    log PausedBy(target=target, member=msg.sender)
    extcall Pausable(target).pause()
