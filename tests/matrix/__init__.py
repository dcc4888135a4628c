"""Every kind of modem under every fault, with the daemon's own route on a real pty."""
