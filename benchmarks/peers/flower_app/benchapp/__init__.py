"""FedAvg over a vector: the work of a round is moving it, so that the transport is what is measured."""
