"""What keeps a server watched and guarded: metrics, the access log, keys, its description."""
