"""The page for people under /ui/: server-rendered, with a little plain JavaScript that only saves reloading.

It sees the gateway as the API's dialects do, and knows nothing of them but whose message is whose.
"""
