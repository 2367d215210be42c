"""English: 22 Nov 2026, 18:50. Times are in UTC, so "p.m." would mislead."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
MONTH_DAY_FORMAT = "j M"
