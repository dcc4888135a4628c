"""The MobSMS cloud as a separate test process, written from its published API description alone.

It must not import `agent` or `drivers`: what it accepts and answers is a judge of them, not a copy.
Everything undocumented is answered as Laravel answers an unknown route. See README.md beside this file.
"""
