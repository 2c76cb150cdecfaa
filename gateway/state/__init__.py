"""What must be remembered between requests: rates, places, failed authentications, the last use of credentials.

In memory, for one instance. What is decided is a pure function `(state, now) -> (state, verdict)`; the doors are
`async`, so that a shared engine can stand behind them later. All of it outlives a reload.
"""
