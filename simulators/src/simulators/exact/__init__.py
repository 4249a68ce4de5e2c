"""A strict stand-in for Exact Online's REST API: OAuth, limits, the OData dialect and a ledger that keeps double-entry books."""
