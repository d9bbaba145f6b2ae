"""A small set against a large one that is masked once and kept: an oblivious function with a list per key epoch.

The sender masks its set under a fresh key (`SenderEpoch.begin`), both sides sign the `Terms`, in which the key's public
part stands, and the masks travel once. In each job of the epoch the receiver has its identifiers evaluated obliviously
and looks them up in the list it holds. `function` has the construction, `dleq` the proof, `session` the messages.

Who learns what, both sides following the protocol or the receiver deviating in any way:

- the receiver: the places of each list, and which of the identifiers it asked for stand in the lists. At most as many
  identifiers as evaluations were booked, `Terms.points_max` in an epoch, however it makes its points.
- the sender: the padded number of points of each job, and when. Nothing of the identifiers or of the result.

What an epoch costs in privacy, against an engine with a fresh key for each job:

- Within an epoch the receiver can compare: a new list tells it when an identifier came (not whether it was new to the
  sender's data), an identifier asked for once can be looked up in every later list without asking again, and nothing
  leaves a list before the epoch ends. Two epochs compare in nothing.
- Should the key leak, during the epoch or later, whoever has the masks can test every identifier that it can guess,
  without asking. `end` lets the key go; nobody can make the other side delete its masks.
- A sender that deviates can't evaluate with another key (that would mark clients), but can fill its lists with what it
  likes: leave clients out, or enter guessed ones. It learns by that only what the receiver tells of its result: if a
  count goes to the sender or the hub, a list with one client in it asks whether the receiver has this one. What the
  receiver tells must have its minimum, and be judged against lists of that kind.
"""

from privacy.psi.cached.agreed import EpochTerms
from privacy.psi.cached.epoch import ReceiverEpoch, SenderEpoch
from privacy.psi.cached.factory import create, load
from privacy.psi.cached.session import Session
from privacy.psi.cached.state import Job
from privacy.psi.cached.terms import Terms

__all__ = ["EpochTerms", "Job", "ReceiverEpoch", "SenderEpoch", "Session", "Terms", "create", "load"]
