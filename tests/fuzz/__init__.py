"""Fuzzing of what strangers send: HTTP and OpenRTB.

``make fuzz`` runs atheris (libFuzzer for Python); the tests run it for some seconds, and what it
found once stands in ``found/`` and is tried in every run.
"""
