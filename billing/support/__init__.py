"""The support desk in the admin: one search, one page per account, actions with a reason, the figures of the day."""
