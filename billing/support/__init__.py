"""The support desk in the admin: one search, one page for an account, acts with a reason, the figures of the day."""
