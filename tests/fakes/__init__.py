"""Stand-ins for third-party services; the product never imports them."""
