"""Banks learn one line with Flower's FedAvg; the server opens sums of updates, never one."""
