# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title Anchor of audit checkpoints
@license Apache-2.0
@notice Keeps, for each log, the Merkle roots its submitter handed in. A log's size may only grow, and what was anchored
        stays: a log shown with another root of an anchored size has been rewritten.
@dev    Whether a later root extends an earlier one is checked off chain, by a consistency proof (RFC 6962 section 2.1.2)
        between two anchored sizes. No function takes value and none calls another contract.
"""

event SubmitterSet:
    origin: indexed(bytes32)
    submitter: indexed(address)

event Anchored:
    origin: indexed(bytes32)
    size: indexed(uint256)
    root: bytes32

SIZE_MAX: constant(uint256) = 2**64 - 1  # a checkpoint's size is an unsigned 64-bit number

GOVERNOR: public(immutable(address))

submitter: public(HashMap[bytes32, address])                 # origin -> who may anchor it; zero: nobody
size: public(HashMap[bytes32, uint256])                      # origin -> size of its newest checkpoint
root: public(HashMap[bytes32, HashMap[uint256, bytes32]])    # origin -> size -> root; zero: never anchored

@deploy
def __init__(governor: address):
    """
    @notice Fixes who names the submitters.
    @param governor An account or a k-of-n contract.
    """
    assert governor != empty(address), "governor"
    GOVERNOR = governor

@external
def setSubmitter(origin: bytes32, submitter: address):
    """
    @notice The governor says who may anchor a log; zero stops it.
    @param origin Hash of the log's origin line.
    @param submitter The account.
    """
    assert msg.sender == GOVERNOR, "not the governor"
    assert origin != empty(bytes32), "origin"
    self.submitter[origin] = submitter
    log SubmitterSet(origin=origin, submitter=submitter)

@external
def anchor(origin: bytes32, size: uint256, root: bytes32):
    """
    @notice The log's submitter anchors a checkpoint larger than every one before.
    @param origin Hash of the log's origin line.
    @param size Number of leaves.
    @param root RFC 6962 tree hash over them.
    """
    assert msg.sender == self.submitter[origin], "not the submitter"
    assert size > self.size[origin], "size"
    assert size <= SIZE_MAX, "size limit"
    assert root != empty(bytes32), "root"
    self.size[origin] = size
    self.root[origin][size] = root
    log Anchored(origin=origin, size=size, root=root)
