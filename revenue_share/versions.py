"""The versions of a statement: by which rules a month is drawn up. Each is drawn up again by the rules of its own.

1   the balance alone goes from month to month; what is below zero is carried forward
2   positions go from month to month (`position`), with minimum payouts and taxes
3   points stand in the journal (`points_book.Moves`), and once an agreement is over (`ending`) its last balance is
    paid whatever the minimum
"""

FIRST, SECOND, THIRD = 1, 2, 3
LATEST = THIRD
