"""What our engines are measured beside: workers of one case each, and the environment of their own they run in.

The peers are extras of the benchmarks, never of the product: nothing outside `benchmarks` imports this package, and its
workers import nothing of EcoHub, so that they run where only the peers are installed.
"""

PHASES = ("prepare", "quantise", "encrypt", "serialise", "add", "answer", "open")  # of one round, in order
