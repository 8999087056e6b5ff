// Keys of issuers: loading, refreshing and withdrawing them (checks.md §8).
