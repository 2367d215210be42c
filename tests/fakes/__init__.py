"""Stand-ins for the services of others; the product never imports them."""
