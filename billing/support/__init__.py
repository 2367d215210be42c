"""The support desk, on top of Django's admin: one search, one page for an account, acts with a reason, figures of the day."""
