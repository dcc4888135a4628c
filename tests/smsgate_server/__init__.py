"""An SMSGate server for tests, made from the description of its protocol; it knows nothing of the agent.

A process of its own: `python -m tests.smsgate_server --help`; `process.SmsGateServer` starts one.
"""
