"""A strict stand-in of Chargebee's API v2 and of its webhooks."""
