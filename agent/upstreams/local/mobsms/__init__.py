"""The MobSMS API under /api, over our own journal. Light: importing it loads no server."""
